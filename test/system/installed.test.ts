import { execFileSync, spawn, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { afterAll, beforeAll, expect, it } from "vitest"
import { copyEmbeddedTemplate } from "../harness/EmbeddedTemplate.ts"
import { freePort } from "../harness/freePort.ts"
import { leash } from "../harness/Leash.ts"
import { NatsServer } from "../harness/NatsServer.ts"
import { PackedTrailsd } from "../harness/PackedTrailsd.ts"
import { post, rest } from "../harness/Rest.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { Machine } from "../main/Launched.ts"

const ROOT = resolve(import.meta.dirname, "../..")
/** To build, pack and install, on a busy machine, milliseconds. */
const INSTALL_MS = 300_000

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  readonly version: string
}
const machine = new Machine(["trailsd"])
/** A command that finds `trails` and runs a part of itself under it. */
const INNER = "trails run --name inner -- true; exit 3"
let packed: PackedTrailsd

beforeAll(() => {
  mkdirSync(machine.home)
  packed = PackedTrailsd.install()
}, INSTALL_MS)
afterAll(() => {
  machine.dispose()
  packed?.dispose()
})

const run = (program: string, ...args: ReadonlyArray<string>): string =>
  execFileSync(program, args, {
    cwd: machine.folder,
    encoding: "utf8",
    timeout: 30_000,
    env: { PATH: packed.path, HOME: machine.home }
  })

it("the packed file has the launchers, the build, the documents and the papers; nothing else", () => {
  const bundle = ["client.cjs", "command.cjs", "first.cjs", "quickRun.cjs", "runCommand.cjs"].map(
    (name) => `lib/run-bundle/run/${name}`
  )
  const built =
    /^lib\/(?:\w+\/)*\w+\.js$|^lib\/(?:client|events|protocol)\/\w+\.d\.ts$|^lib\/storage\/migrations\/\d{6}_\w+\.sql$|^docs\/(?:decisions\/)?[\w-]+\.md$/
  const papers = ["LICENSE", "LICENSE-APACHE", "LICENSE-MIT", "README.md", "package.json"]
  const launchers = [
    "bin/compileCache.cjs",
    "bin/freshBundle.cjs",
    "bin/launch.sh",
    "bin/start.cjs",
    "bin/trails",
    "bin/trailsd"
  ]
  expect(packed.files.filter((path) => !built.test(path)).toSorted()).toEqual(
    [...papers, ...launchers, ...bundle, "deploy/nats.conf", "lib/run-bundle/newest.json"].toSorted()
  )
})

it("trailsd and trails say their version", () => {
  expect(run("trailsd", "--version").trim()).toBe(version)
  expect(run("trails", "--version").trim()).toBe(version)
})

/** The node of that name once it has ended. */
const ended = (http: string, name: string) =>
  waitUntil(`${name} has ended`, async () => {
    const { body } = await rest(http, `apps?name=${name}`)
    const [item] = (body as { readonly items: ReadonlyArray<{ readonly status: string }> }).items
    return item !== undefined && ["done", "error"].includes(item.status) && item
  })

it("trailsd serves from an embedded database below the working folder, and keeps it through kill -9", async () => {
  const port = await freePort()
  const http = `http://127.0.0.1:${port}`
  const env = { PATH: packed.path, LISTEN_ADDR: `127.0.0.1:${port}` }
  const first = await machine.launch(env).ready()
  expect((await fetch(`${http}/readyz`)).status).toBe(200)
  expect(existsSync(join(machine.folder, ".trailsd/pglite"))).toBe(true)
  expect(await post(http, "roots", { appName: "kept" })).toMatchObject({ status: 201 })
  const wrapped = spawnSync("trails", ["run", "--server", http, "--name", "outer", "--", "sh", "-c", INNER], {
    cwd: machine.folder,
    encoding: "utf8",
    timeout: 60_000,
    env: { PATH: packed.path, HOME: machine.home }
  })
  expect(wrapped.status, wrapped.stderr).toBe(3)
  expect(await ended(http, "outer")).toMatchObject({ status: "error" })
  expect(await ended(http, "inner")).toMatchObject({ status: "done" })
  await first.end("SIGKILL")

  const second = await machine.launch(env).ready()
  const { body } = await rest(http, "apps?name=kept")
  expect(body).toMatchObject({ items: [{ app_name: "kept", status: "scheduled" }] })
  expect(await second.end("SIGTERM")).toMatchObject({ code: 0 })
})

it("the subscriber of docs/events.md runs as it is written there, on what the package exports", async () => {
  const [, text = ""] = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(ROOT, "docs/events.md"), "utf8")) ?? []
  expect(
    text
      .trim()
      .split("\n")
      .filter((line) => line !== "").length
  ).toBeLessThanOrEqual(10)
  const program = packed.program("subscriber.ts", text)
  await using nats = await NatsServer.start({ jetstream: true })
  const port = await freePort()
  const dataDir = join(machine.folder, "signed")
  copyEmbeddedTemplate(dataDir)
  const env = {
    PATH: packed.path,
    LISTEN_ADDR: `127.0.0.1:${port}`,
    TRAILS_DATA_DIR: dataDir,
    TRAILS_MIN_LEVEL: "signed",
    NATS_URL: nats.url,
    NATS_ANY_VERSION: "true"
  }
  const server = await machine.launch(env).ready()
  const { serverPubKey } = JSON.parse(readFileSync(join(machine.home, `.trails/servers/${port}.json`), "utf8")) as {
    readonly serverPubKey: string
  }
  const subscriber = spawn(process.execPath, [program], {
    env: { NATS_URL: nats.url, TRAILS_SERVER_PUB_KEY: serverPubKey },
    stdio: ["ignore", "pipe", "pipe"]
  })
  const unleash = leash(subscriber.pid!)
  let said = ""
  for (const stream of [subscriber.stdout, subscriber.stderr]) stream.on("data", (chunk) => (said += String(chunk)))
  try {
    const wrapped = spawnSync("trails", ["run", "--server", `http://127.0.0.1:${port}`, "--", "true"], {
      encoding: "utf8",
      timeout: 60_000,
      env: { PATH: packed.path, HOME: machine.home }
    })
    expect(wrapped.status, wrapped.stderr).toBe(0)
    await waitUntil("its result is printed", () => said.includes(" result ") && said.includes("exit_code"), {
      withinMs: 30_000
    }).catch((cause: unknown) => {
      throw new Error(`the subscriber said: ${said}`, { cause })
    })
  } finally {
    subscriber.kill()
    unleash()
  }
  expect(await server.end("SIGTERM")).toMatchObject({ code: 0 })
})
