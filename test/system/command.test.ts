import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { readAdminKey } from "../../src/cli/AdminSigner.ts"
import { makeInit } from "../../src/client/init.ts"
import { nodePlatform } from "../../src/client/NodePlatform.ts"
import type { Platform, SocketPort } from "../../src/client/Platform.ts"
import type { TrailsNode } from "../../src/client/TrailsNode.ts"
import type { Level } from "../../src/protocol/Frames.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { makeEnvelope } from "../harness/TestEnvelope.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { User } from "./run/Wrapped.ts"

/** A platform whose sockets can be cut, and kept from being opened. */
class Cable {
  readonly #sockets = new Set<SocketPort>()
  #isCut = false

  readonly platform: Platform = {
    ...nodePlatform,
    connect: (url, events) => {
      const socket = nodePlatform.connect(this.#isCut ? "ws://127.0.0.1:9/ws" : url, events)
      this.#sockets.add(socket)
      return socket
    }
  }

  cut(): void {
    this.#isCut = true
    for (const socket of this.#sockets) socket.terminate()
  }

  mend(): void {
    this.#isCut = false
  }
}

describe.each<[Level, string]>([
  ["open", "embedded"],
  ["signed", "Postgres"]
])("commands at level %s, %s", (level, storage) => {
  let server: Trailsd
  let user: User
  let dispose: () => Promise<void> = async () => {}
  const nodes: Array<TrailsNode> = []

  beforeAll(async () => {
    const database = storage === "Postgres" ? await freshDatabase() : null
    dispose = async () => database?.drop()
    server = await Trailsd.start({
      ...(database === null ? {} : { databaseUrl: database.url }),
      env: { TRAILS_MIN_LEVEL: level }
    })
    user = new User(server)
  })
  afterAll(async () => {
    for (const node of nodes) await node.shutdown({ timeoutMs: 1 })
    await server?.dispose()
    user?.dispose()
    await dispose()
  })

  const born = async (platform: Platform = nodePlatform): Promise<TrailsNode> => {
    const { info } = makeEnvelope(
      { serverEp: server.url, serverPubKey: server.serverKey.text, secLevel: level, startDeadline: 0 },
      level === "open" ? null : server.serverKey
    )
    const node = await makeInit(platform)({ info, exitHook: false })
    nodes.push(node)
    await node.ready()
    return node
  }
  const send = (...args: ReadonlyArray<string>) => user.trails(["send", ...args]).ended
  const commands = async (id: string) => {
    const { stdout } = await user.trails(["commands", id, "--json"]).ended
    return (JSON.parse(stdout) as { items: ReadonlyArray<Readonly<Record<string, unknown>>> }).items
  }

  it("what is sent while the child is away arrives at its return, once; what had no time for that has expired", async () => {
    const cable = new Cable()
    const node = await born(cable.platform)
    const seen: Array<unknown> = []
    node.on("note", (payload) => seen.push(payload))
    cable.cut()
    await waitUntil("it is away", () => node.stats().state === "connecting")
    expect((await send(node.appId, "note", "--payload", '"late"', "--ttl", "1s", "--wait")).code).toBe(5)
    for (const text of ["a", "b"]) await send(node.appId, "note", "--payload", JSON.stringify(text), "--ttl", "2m")
    cable.mend()
    await waitUntil("both have been answered", async () => {
      const answered = (await commands(node.appId)).filter(({ state }) => state === "answered")
      return answered.length === 2
    })
    // Another session is told nothing that was answered.
    cable.cut()
    cable.mend()
    const before = node.stats().reconnects
    await waitUntil("it has come back once more", () => node.stats().reconnects > before, { withinMs: 30_000 })
    expect((await send(node.appId, "note", "--payload", '"last"', "--wait")).stdout).toBe("3\n")
    expect(seen).toEqual(["a", "b", "last"])
    expect((await commands(node.appId)).map(({ error, state }) => [state, error])).toEqual([
      ["answered", null],
      ["answered", null],
      ["answered", null],
      ["expired", "expired"]
    ])
  })

  it("large commands that waited for a child all arrive, once, and do not cost it its socket", async () => {
    const cable = new Cable()
    const node = await born(cable.platform)
    const seen: Array<unknown> = []
    node.on("take", (payload) => seen.push((payload as { readonly at: number }).at))
    cable.cut()
    await waitUntil("it is away", () => node.stats().state === "connecting")
    const signer = readAdminKey(join(server.dataDir, "admin.key.pem"))
    const url = new URL(`${server.http}/api/v1/apps/${node.appId}/control`)
    // Together more than a socket may hold back.
    const all = Array.from({ length: 20 }, (_, at) => at)
    for (const at of all) {
      const body = JSON.stringify({ action: "take", payload: { at, text: "x".repeat(250_000) } })
      const headers = { "content-type": "application/json", ...signer.headers("POST", url, body) }
      expect((await fetch(url, { method: "POST", headers, body })).status).toBe(201)
    }
    cable.mend()
    await waitUntil(
      "all have been answered",
      async () => {
        const told = await commands(node.appId)
        return told.filter(({ deliveries, state }) => state === "answered" && deliveries === 1).length === all.length
      },
      { withinMs: 60_000 }
    )
    expect(seen).toEqual(all)
  })

  it("whoever waits over a kill -9 of the server gets the answer, of a command that ran once", async () => {
    const node = await born()
    let runs = 0
    let finish = (): void => {}
    node.on("long", async () => {
      runs++
      await new Promise<void>((resolve) => (finish = resolve))
      return runs
    })
    const waiting = user.trails(["send", node.appId, "long", "--wait"])
    await waitUntil("it runs", () => runs === 1)
    await server.kill()
    // The answer finds no server, and is asked for again in the next session.
    finish()
    await server.start()
    expect(await waiting.ended).toMatchObject({ code: 0, stdout: "1\n" })
    expect(runs).toBe(1)
  })

  // Calls of its own, since 100 command lines would measure the machine.
  it("100 commands with one key run once, and each of the 100 who wait gets the same answer", async () => {
    const node = await born()
    let runs = 0
    node.on("count", () => ++runs)
    const signer = readAdminKey(join(server.dataDir, "admin.key.pem"))
    const url = new URL(`${server.http}/api/v1/apps/${node.appId}/control`)
    const body = JSON.stringify({ action: "count", idempotencyKey: "k", timeoutMs: 20_000 })
    const answers = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const headers = { "content-type": "application/json", ...signer.headers("POST", url, body) }
        const response = await fetch(url, { method: "POST", headers, body })
        return (await response.json()) as { readonly correlation_id: string; readonly result: unknown }
      })
    )
    expect(new Set(answers.map(({ correlation_id }) => correlation_id)).size).toBe(1)
    expect(answers.map(({ result }) => result)).toEqual(answers.map(() => 1))
    expect(runs).toBe(1)
  })
})
