import { createHash, generateKeyPairSync, type KeyObject, randomBytes, randomUUID, sign } from "node:crypto"
import * as Http from "node:http"
import { type AddressInfo, connect } from "node:net"
import { assert } from "@effect/vitest"
import { Deferred, Effect, Exit, Layer, Logger, Scope } from "effect"
import { ActorSystem } from "../../src/actors/ActorSystem.ts"
import { importSecretKey } from "../../src/actors/Ed25519.ts"
import type { IntentAnswer, NodeMessage } from "../../src/actors/NodeMessage.ts"
import { ServerKey } from "../../src/actors/ServerKey.ts"
import { type HttpSigningKey, signRequest } from "../../src/client/HttpSigner.ts"
import { formatKey } from "../../src/protocol/Keys.ts"
import { Settings } from "../../src/Settings.ts"
import { type Environment, loadSettings } from "../../src/SettingsConfig.ts"
import { type AuditEntry, AuditLog } from "../../src/storage/AuditLog.ts"
import { CascadeStore } from "../../src/storage/CascadeStore.ts"
import { CommandStore, type NewCommand, type Sent as SentCommand } from "../../src/storage/CommandStore.ts"
import type { Row } from "../../src/storage/Database.ts"
import { KeyDirectory } from "../../src/storage/KeyDirectory.ts"
import type { LogRow } from "../../src/storage/LogRow.ts"
import { type AppFilter, NodeQueries, type Page, type StoredBirth } from "../../src/storage/NodeQueries.ts"
import type { StoreError } from "../../src/storage/StoreError.ts"
import { Telemetry } from "../../src/Telemetry.ts"
import { AdminKey } from "../../src/transports/AdminKey.ts"
import { Readiness } from "../../src/transports/rest/HealthRoutes.ts"
import { makeRestHandler } from "../../src/transports/RestServer.ts"
import { Forest } from "./Forest.ts"

export const signingKey = (): HttpSigningKey & { readonly secret: KeyObject } => {
  const pair = generateKeyPairSync("ed25519")
  return {
    secret: pair.privateKey,
    publicKey: formatKey(Buffer.from(pair.publicKey.export({ format: "jwk" }).x ?? "", "base64url")),
    sign: (message) => sign(null, message, pair.privateKey),
    sha256: (bytes) => createHash("sha256").update(bytes).digest()
  }
}

export type Call =
  | readonly ["apps", AppFilter, Page]
  | readonly ["children" | "log", string, unknown]
  | readonly ["crashes" | "orphans", Page]

/** What stands behind the API under test; a test sets it and looks at it afterwards. */
export class Backstage {
  readonly admin = signingKey()
  readonly server = signingKey()
  readonly audit: Array<AuditEntry> = []
  readonly nonces = new Set<string>()
  readonly calls: Array<Call> = []
  readonly told: Array<readonly [string, NodeMessage]> = []
  rows: ReadonlyArray<Row> = []
  log: ReadonlyArray<LogRow> = []
  readonly births = new Map<string, StoredBirth>()
  problems: ReadonlyArray<string> = []
  notes: ReadonlyArray<string> = []
  storeError: StoreError | null = null
  mailboxFull = false
  answer: (appId: string) => IntentAnswer | null = (appId) => ({ _tag: "Done", appId, created: true })

  /** Nodes by the key that is bound to them, and the paths of nodes. */
  readonly keys = new Map<string, ReadonlyArray<string>>()
  readonly paths = new Map<string, ReadonlyArray<string>>()
  readonly commands: Array<NewCommand> = []
  readonly hints: Array<Parameters<ActorSystem["Service"]["hint"]>> = []
  /** What becomes of a command. */
  sent: (command: NewCommand) => SentCommand = () => ({ _tag: "Unknown" })

  readonly forest = new Forest()

  readonly layer = Layer.mergeAll(
    this.forest.layer.pipe(Layer.provide(Telemetry.layer)),
    Layer.succeed(AdminKey, { publicKey: this.admin.publicKey, generatedFile: null }),
    Layer.succeed(ServerKey, {
      publicKey: this.server.publicKey,
      secret: importSecretKey(this.server.secret),
      source: "test"
    }),
    Layer.succeed(Readiness, { problems: () => this.problems, notes: () => this.notes }),
    Telemetry.layer,
    Layer.succeed(AuditLog, {
      record: (entry) => this.#stored(() => void this.audit.push(entry)),
      useNonce: (keyId, nonce) =>
        this.#stored(() => {
          const fresh = !this.nonces.has(`${keyId} ${nonce}`)
          this.nonces.add(`${keyId} ${nonce}`)
          return fresh
        })
    }),
    Layer.succeed(KeyDirectory, {
      holder: (key) => this.#stored(() => this.keys.get(key)?.[0] ?? null),
      nearest: (key, appId) =>
        this.#stored(() => this.paths.get(appId)?.findLast((id) => this.keys.get(key)?.includes(id)) ?? null)
    }),
    Layer.mock(CascadeStore)({}),
    Layer.mock(CommandStore)({
      send: (command) =>
        this.#stored(() => {
          this.commands.push(command)
          return this.sent(command)
        })
    }),
    Layer.succeed(NodeQueries, {
      apps: (filter, page) => this.#rows(["apps", filter, page], page.limit),
      app: (appId) => this.#stored(() => this.rows.find((row) => row["app_id"] === appId) ?? null),
      children: (appId, page) => this.#rows(["children", appId, page], page.limit),
      orphans: (page) => this.#rows(["orphans", page], page.limit),
      crashes: (page) => this.#rows(["crashes", page], page.limit),
      birth: (appId) => this.#stored(() => this.births.get(appId) ?? null),
      log: (appId, afterN, limit) =>
        this.#stored(() => {
          this.calls.push(["log", appId, { afterN, limit }])
          return this.log.filter((row) => row.n > afterN).slice(0, limit)
        })
    }),
    Layer.succeed(ActorSystem, {
      tell: (appId, message) => {
        if (this.mailboxFull) return false
        this.told.push([appId, message])
        const answer = this.answer(appId)
        if (answer !== null && "reply" in message) {
          Deferred.doneUnsafe(message.reply as Deferred.Deferred<IntentAnswer>, Effect.succeed(answer))
        }
        return true
      },
      hint: (...hint) => void this.hints.push(hint),
      stats: () => ({ actors: 0, queued: 0, rebuilt: 0 }),
      stop: Effect.void,
      children: []
    })
  )

  reset(): void {
    this.commands.length = 0
    this.hints.length = 0
    this.keys.clear()
    this.paths.clear()
    this.sent = () => ({ _tag: "Unknown" })
    this.rows = []
    this.log = []
    this.forest.isDeaf = false
    this.forest.isBlind = false
    this.forest.isBroken = false
    this.forest.isVague = false
    this.forest.isAway = false
    this.births.clear()
    this.problems = []
    this.notes = []
    this.storeError = null
    this.mailboxFull = false
    this.calls.length = 0
    this.told.length = 0
    this.audit.length = 0
    this.answer = (appId) => ({ _tag: "Done", appId, created: true })
  }

  #rows(call: Call, limit: number): Effect.Effect<ReadonlyArray<Row>, StoreError> {
    return this.#stored(() => {
      this.calls.push(call)
      return this.rows.slice(0, limit)
    })
  }

  #stored<A>(body: () => A): Effect.Effect<A, StoreError> {
    return Effect.suspend(() => (this.storeError === null ? Effect.sync(body) : Effect.fail(this.storeError)))
  }
}

export interface Answer {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly text: string
  /** The JSON body: a test says what it expects in it. */
  readonly body: any // eslint-disable-line typescript/no-explicit-any
}

export interface Sent {
  readonly headers?: Readonly<Record<string, string | ReadonlyArray<string>>>
  readonly body?: string | Uint8Array
}

/** The API on a port of its own. */
export class RestFixture {
  readonly backstage: Backstage
  readonly port: number
  readonly #scope: Scope.Closeable
  readonly #server: Http.Server

  private constructor(backstage: Backstage, scope: Scope.Closeable, server: Http.Server) {
    this.backstage = backstage
    this.port = (server.address() as AddressInfo).port
    this.#scope = scope
    this.#server = server
  }

  static async start(env: Environment = {}, host = "127.0.0.1"): Promise<RestFixture> {
    const backstage = new Backstage()
    const scope = await Effect.runPromise(Scope.make())
    const { settings } = await Effect.runPromise(loadSettings({ LISTEN_ADDR: `${host}:0`, ...env }))
    const layer = Layer.mergeAll(backstage.layer, Layer.succeed(Settings, settings), Logger.layer([]))
    const context = await Effect.runPromise(Layer.buildWithScope(layer, scope))
    const handler = await Effect.runPromise(
      makeRestHandler({ newId: randomUUID, version: "1.2.3" }).pipe(
        Effect.provideContext(context),
        Scope.provide(scope)
      )
    )
    const server = Http.createServer(handler.onRequest)
    server.on("upgrade", (request, stream, head) => {
      stream.on("error", () => {})
      handler.onUpgrade(request, stream, head)
    })
    await new Promise<void>((resolve) => server.listen(0, host, resolve))
    return new RestFixture(backstage, scope, server)
  }

  get authority(): string {
    return `127.0.0.1:${this.port}`
  }

  async stop(): Promise<void> {
    await Effect.runPromise(Scope.close(this.#scope, Exit.void))
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  /** Sends exactly this path and these headers. */
  send(method: string, path: string, { body, headers = {} }: Sent = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const request = Http.request(
        {
          host: "127.0.0.1",
          port: this.port,
          method,
          path,
          headers: { ...headers } as Http.OutgoingHttpHeaders,
          agent: false
        },
        (response) => {
          const chunks: Array<Buffer> = []
          response
            .on("data", (chunk: Buffer) => chunks.push(chunk))
            .on("end", () => {
              const text = Buffer.concat(chunks).toString()
              const isJson = String(response.headers["content-type"]).includes("json") && text !== ""
              resolve({
                status: response.statusCode ?? 0,
                headers: response.headers,
                text,
                body: isJson ? JSON.parse(text) : null
              })
            })
        }
      )
      request.on("error", reject)
      if (body !== undefined) request.write(body)
      request.end()
    })
  }

  /**
   * Sends the headers of a request with a large body, and nothing of the body. Resolves when the server has closed the
   * connection, with everything that it answered.
   */
  announce(method: string, path: string, headers: Readonly<Record<string, string>>): Promise<string> {
    return new Promise((resolve, reject) => {
      const all = { host: this.authority, "content-length": "10000000", ...headers }
      const socket = connect(this.port, "127.0.0.1")
      let text = ""
      socket.on("data", (chunk: Buffer) => {
        text += chunk.toString()
      })
      socket.on("end", () => resolve(text)).on("error", reject)
      const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`)
      socket.write([`${method} ${path} HTTP/1.1`, ...lines, "", ""].join("\r\n"))
    })
  }

  post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return this.send("POST", path, {
      body: JSON.stringify(body),
      headers: { "content-type": "application/json", ...headers }
    })
  }

  /** Headers that sign a request with the administrator's key. */
  signed(
    method: string,
    path: string,
    options: {
      readonly body?: string
      readonly authority?: string
      readonly key?: HttpSigningKey
      readonly created?: number
      readonly nonce?: string
    } = {}
  ): Record<string, string> {
    return {
      ...signRequest(options.key ?? this.backstage.admin, {
        method,
        url: `http://${options.authority ?? this.authority}${path}`,
        body: Buffer.from(options.body ?? ""),
        created: options.created ?? Math.floor(Date.now() / 1000),
        nonce: options.nonce ?? randomBytes(16).toString("base64")
      })
    }
  }
}

export const ID = "0b9c8f3e-3f6e-4a3b-9c55-0d6f3f1f2a77"
export const OTHER = "1b9c8f3e-3f6e-4a3b-9c55-0d6f3f1f2a77"

/** A refusal is readable by people and by programs. */
export const refused = (answer: Answer, status: number, code: string, words = ""): void => {
  assert.deepStrictEqual([answer.status, answer.body?.code], [status, code], answer.text)
  assert.strictEqual(answer.headers["content-type"], "application/problem+json")
  assert.strictEqual(answer.body.status, status)
  assert.isString(answer.body.title)
  assert.include(answer.body.detail, words)
}
