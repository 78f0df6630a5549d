import { execFile } from "node:child_process"
import { createHash, createPrivateKey, createPublicKey, randomBytes, sign } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { connect, createServer, type Server, type Socket } from "node:net"
import { join } from "node:path"
import { promisify } from "node:util"
import { afterAll, afterEach, assert, beforeAll, describe, it } from "@effect/vitest"
import { importSecretKey } from "../../src/actors/Ed25519.ts"
import { signRequest } from "../../src/client/HttpSigner.ts"
import { copyEmbeddedTemplate } from "../harness/EmbeddedTemplate.ts"
import { freePort } from "../harness/freePort.ts"
import { type FreshDatabase, freshDatabase } from "../harness/freshDatabase.ts"
import { type Launched, Machine } from "./Launched.ts"

const SLOW = { timeout: 120_000 }

const addressOf = (port: number) => `127.0.0.1:${port}`

const get = async (port: number, path: string, init: RequestInit = {}) => {
  const response = await fetch(`http://${addressOf(port)}${path}`, { signal: AbortSignal.timeout(10_000), ...init })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

/** What the screen tells to try, typed as it stands by the user who has started the server. */
const tryAll = async (machine: Machine, screen: string): Promise<ReadonlyArray<string>> => {
  const lines = screen.slice(screen.indexOf("Try next:"), screen.indexOf("Ctrl-C")).trim().split("\n").slice(1)
  const outputs: Array<string> = []
  for (const line of lines.map((text) => text.trim())) {
    if (line.startsWith("curl ")) {
      outputs.push(await (await fetch(line.slice("curl ".length))).text())
      continue
    }
    const options = { cwd: machine.folder, env: { HOME: machine.home, PATH: process.env["PATH"] ?? "" } }
    const { stderr, stdout } = await promisify(execFile)("sh", ["-ec", line], options)
    assert.notInclude(stderr, "trails:", line)
    outputs.push(stdout)
  }
  return outputs
}

const servers = (machine: Machine) => join(machine.home, ".trails/servers")

describe("embedded", () => {
  const machine = new Machine()
  let port = 0
  let running: Launched
  const env = () => ({ LISTEN_ADDR: addressOf(port) })

  beforeAll(async () => {
    mkdirSync(machine.home)
    port = await freePort()
    running = await machine.launch(env()).ready()
  }, 120_000)
  afterAll(() => machine.dispose())

  it("the screen is short, names endpoint, level and folder, and what it tells to try works", SLOW, async () => {
    assert.isBelow(running.stdout.split("\n").length, 16)
    for (const part of [
      `ws://${addressOf(port)}/ws`,
      "open: for this machine only",
      join(machine.folder, ".trailsd"),
      "not power loss"
    ]) {
      assert.include(running.stdout, part)
    }
    const [, tree = "", apps = ""] = await tryAll(machine, running.stdout)
    assert.match(tree, /hello .*done/)
    assert.include(apps, '"app_name":"hello"')
  })

  it("the folder is 0700, keys are 0600, and the server is advertised to this user", () => {
    const data = join(machine.folder, ".trailsd")
    assert.strictEqual(statSync(data).mode & 0o777, 0o700)
    for (const file of ["server.key.pem", "admin.key.pem"])
      assert.strictEqual(statSync(join(data, file)).mode & 0o777, 0o600)
    const advert = JSON.parse(readFileSync(join(servers(machine), `${port}.json`), "utf8"))
    const publicKey = createPublicKey(readFileSync(join(data, "server.key.pem"), "utf8")).export({ format: "jwk" })
    assert.deepStrictEqual(advert, {
      endpoint: `ws://${addressOf(port)}/ws`,
      url: `http://${addressOf(port)}`,
      level: "open",
      serverPubKey: `ed25519:${Buffer.from(publicKey.x ?? "", "base64url").toString("base64")}`,
      adminKeyFile: join(data, "admin.key.pem"),
      pid: running.child.pid
    })
  })

  it("a second one on the folder is refused with the pid and the remedy, exit code 69", SLOW, async () => {
    const second = machine.launch({ LISTEN_ADDR: addressOf(await freePort()) })
    assert.strictEqual(await second.exited, 69)
    assert.lengthOf(second.lines, 1)
    assert.include(second.messages[0], `Another trailsd (pid ${running.child.pid})`)
    assert.include(second.messages[0], "TRAILS_DATA_DIR=")
    assert.strictEqual((await get(port, "/readyz")).status, 200)
  })

  it("a port in use is said, with another to choose, exit code 69, and leaves no lock", SLOW, async () => {
    const second = machine.launch({ ...env(), TRAILS_DATA_DIR: "other" })
    assert.strictEqual(await second.exited, 69)
    assert.include(second.messages.at(-1), `${addressOf(port)} is in use`)
    assert.include(second.messages.at(-1), `LISTEN_ADDR=${addressOf(port + 1)} npm start`)
    assert.isFalse(existsSync(join(machine.folder, "other/owner.json")))
  })

  it("kill -9, then a start: every node and both keys are the same", SLOW, async () => {
    const before = await get(port, "/api/v1/apps")
    const key = /key {7}(\S+)/.exec(running.stdout)?.[1]
    await running.end("SIGKILL")
    running = await machine.launch(env()).ready()
    assert.deepStrictEqual((await get(port, "/api/v1/apps")).body, before.body)
    assert.strictEqual(/key {7}(\S+)/.exec(running.stdout)?.[1], key)
  })

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it(
      `${signal} stops it within 3 s with exit code 0 and leaves nothing behind; a restart keeps every node`,
      SLOW,
      async () => {
        const before = await get(port, "/api/v1/apps")
        const { code, tookMs } = await running.end(signal)
        assert.strictEqual(code, 0, running.stderr)
        assert.isBelow(tookMs, 3000)
        assert.deepStrictEqual(
          running.messages.filter((line) => !line.startsWith("making the embedded")),
          []
        )
        assert.deepStrictEqual(readdirSync(servers(machine)), [])
        assert.sameMembers(readdirSync(join(machine.folder, ".trailsd")), [
          "admin.key.pem",
          "lock",
          "pglite",
          "server.key.pem"
        ])
        running = await machine.launch(env()).ready()
        assert.deepStrictEqual((await get(port, "/api/v1/apps")).body, before.body)
      }
    )
  }
})

describe("signed", () => {
  it("the generated administrator's key, found through the advert, makes a root; nobody else does", SLOW, async () => {
    const machine = new Machine()
    mkdirSync(machine.home)
    copyEmbeddedTemplate(join(machine.folder, ".trailsd"))
    const port = await freePort()
    const running = await machine.launch({ LISTEN_ADDR: addressOf(port), TRAILS_MIN_LEVEL: "signed" }).ready()
    const [, tree = "", readyz = ""] = await tryAll(machine, running.stdout)
    assert.match(tree, /hello .*done/)
    assert.include(readyz, '"status":"ready"')
    const advert = JSON.parse(readFileSync(join(servers(machine), `${port}.json`), "utf8")) as {
      adminKeyFile: string
      url: string
    }
    assert.include(running.stdout, advert.adminKeyFile)
    const secret = importSecretKey(createPrivateKey(readFileSync(advert.adminKeyFile, "utf8")))
    const body = JSON.stringify({ appName: "one" })
    const path = "/api/v1/roots"
    const json = { "content-type": "application/json" }
    const signed = signRequest(
      {
        publicKey: secret.text,
        sign: (message) => sign(null, message, secret.key),
        sha256: (bytes) => createHash("sha256").update(bytes).digest()
      },
      {
        method: "POST",
        url: advert.url + path,
        body: Buffer.from(body),
        created: Math.floor(Date.now() / 1000),
        nonce: randomBytes(16).toString("base64")
      }
    )
    assert.strictEqual((await get(port, path, { method: "POST", body, headers: json })).status, 401)
    const made = await get(port, path, { method: "POST", body, headers: { ...json, ...signed } })
    assert.deepStrictEqual([made.status, made.body["secLevel"]], [201, "signed"])
    const again = await get(port, path, { method: "POST", body, headers: { ...json, ...signed } })
    assert.deepStrictEqual([again.status, again.body["code"]], [401, "nonce_used"])
    machine.dispose()
  })
})

describe("with Postgres", () => {
  const machine = new Machine()
  let database: FreshDatabase
  const sockets = new Set<Socket>()
  let relay: Server | null = null

  beforeAll(async () => {
    database = await freshDatabase()
  })
  afterEach(() => {
    relay?.close()
    for (const socket of sockets) socket.destroy()
  })
  afterAll(async () => {
    machine.dispose()
    await database.drop()
  })

  const relayed = (port: number): Server => {
    const { hostname, port: target } = new URL(database.url)
    return createServer((incoming) => {
      const outgoing = connect(Number(target), hostname)
      sockets.add(incoming).add(outgoing)
      incoming.pipe(outgoing)
      outgoing.pipe(incoming)
      incoming.on("error", () => outgoing.destroy())
      outgoing.on("error", () => incoming.destroy())
    }).listen(port, "127.0.0.1")
  }

  it(
    "one that is away is waited for: /healthz ok, /readyz says why, then it serves without a restart",
    SLOW,
    async () => {
      const [port, databasePort] = [await freePort(), await freePort()]
      const url = new URL(database.url)
      url.host = addressOf(databasePort)
      const running = machine.launch({ LISTEN_ADDR: addressOf(port), DATABASE_URL: url.href, TRAILS_DATA_DIR: "late" })
      await running.until("it waits", () =>
        running.messages.some((line) => line.startsWith("waiting for the database"))
      )
      await running.until("readyz says why", async () => {
        const { body, status } = await get(port, "/readyz")
        return status === 503 && String(body["problems"]).includes("waiting for the database")
      })
      assert.strictEqual((await get(port, "/healthz")).status, 200)
      assert.strictEqual((await get(port, "/api/v1/apps")).status, 503)
      relay = relayed(databasePort)
      await running.ready()
      assert.strictEqual((await get(port, "/readyz")).status, 200)
      assert.include(running.stdout, `Postgres, database ${database.name}`)
      const { code } = await running.end("SIGTERM")
      assert.strictEqual(code, 0, running.stderr)
    }
  )

  it("SIGTERM while it waits stops it at once", SLOW, async () => {
    const [port, nobody] = [await freePort(), await freePort()]
    const running = machine.launch({
      LISTEN_ADDR: addressOf(port),
      DATABASE_URL: `postgres://u:geheim@${addressOf(nobody)}/x`,
      TRAILS_DATA_DIR: "never"
    })
    await running.until("it waits", () => running.messages.some((line) => line.startsWith("waiting for the database")))
    const { code, tookMs } = await running.end("SIGTERM")
    assert.strictEqual(code, 0)
    assert.isBelow(tookMs, 3000)
    assert.notInclude(running.stderr + running.stdout, "geheim")
  })

  it("a database that does not exist is refused with the remedy, exit code 78", SLOW, async () => {
    const url = new URL(database.url)
    url.pathname = "/nothing_here"
    const running = machine.launch({
      LISTEN_ADDR: addressOf(await freePort()),
      DATABASE_URL: url.href,
      TRAILS_DATA_DIR: "wrong"
    })
    assert.strictEqual(await running.exited, 78)
    assert.include(running.messages.at(-1), "check user, password and database of DATABASE_URL")
  })

  it("with both keys and Postgres given it keeps no folder", SLOW, async () => {
    const port = await freePort()
    const keys = join(machine.folder, "late")
    const running = await machine
      .launch({
        LISTEN_ADDR: addressOf(port),
        DATABASE_URL: database.url,
        TRAILS_DATA_DIR: "none",
        TRAILS_SERVER_KEY_FILE: join(keys, "server.key.pem"),
        TRAILS_ADMIN_KEY_FILE: join(keys, "admin.key.pem")
      })
      .ready()
    assert.isFalse(existsSync(join(machine.folder, "none")))
    await running.end("SIGTERM")
  })
})

describe("the command line", () => {
  const machine = new Machine()
  afterAll(() => machine.dispose())

  it("--version and --help", SLOW, async () => {
    const version = machine.launch({}, ["--version"])
    const help = machine.launch({}, ["--help"])
    assert.deepStrictEqual([await version.exited, await help.exited], [0, 0])
    assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/)
    for (const name of ["LISTEN_ADDR", "TRAILS_MIN_LEVEL", "DATABASE_URL", "OTEL_"]) assert.include(help.stdout, name)
    assert.strictEqual(version.stderr + help.stderr, "")
  })

  for (const [args, words] of [
    [["--hlep"], "Did you mean --help?"],
    [["serve"], "trailsd --help lists them"],
    [["--help", "--port=1"], '"--port=1"']
  ] as const) {
    it(`${args.join(" ")} is refused, exit code 64`, SLOW, async () => {
      const run = machine.launch({}, args)
      assert.strictEqual(await run.exited, 64)
      assert.include(run.stderr, words)
      assert.strictEqual(run.stdout, "")
    })
  }

  it("wrong settings: every problem as a line of its own, exit code 78, and nothing is made", SLOW, async () => {
    const run = machine.launch({ LISTEN_ADDR: "x", TRAILS_LOG: "loud", TRAILS_DATA_DIR: "unmade" })
    assert.strictEqual(await run.exited, 78)
    assert.deepStrictEqual(
      run.messages.map((line) => line.split(":")[0]),
      ["LISTEN_ADDR", "TRAILS_LOG"]
    )
    assert.isFalse(existsSync(join(machine.folder, "unmade")))
  })

  it("a key file that is missing: exit code 78, and the lock is given back", SLOW, async () => {
    const run = machine.launch({ LISTEN_ADDR: addressOf(await freePort()), TRAILS_SERVER_KEY_FILE: "nowhere.pem" })
    assert.strictEqual(await run.exited, 78)
    assert.include(run.messages.at(-1), "openssl genpkey")
    assert.isFalse(existsSync(join(machine.folder, ".trailsd/owner.json")))
    rmSync(join(machine.folder, ".trailsd"), { recursive: true })
  })

  it("a mistyped variable is a warning with the nearest name", SLOW, async () => {
    const run = machine.launch({
      TRAILS_MIN_LEVL: "signed",
      TRAILS_SERVER_KEY_FILE: "nowhere.pem",
      LISTEN_ADDR: addressOf(await freePort())
    })
    await run.exited
    assert.deepInclude(run.lines[0], {
      level: "warn",
      message: "TRAILS_MIN_LEVL is not a setting and is ignored; did you mean TRAILS_MIN_LEVEL?"
    })
  })
})
