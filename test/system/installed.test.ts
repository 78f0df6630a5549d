import { execFileSync, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "vitest"
import { freePort } from "../harness/freePort.ts"
import { PackedTrailsd } from "../harness/PackedTrailsd.ts"
import { post, rest } from "../harness/Rest.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { Machine } from "../main/Launched.ts"

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
  const built = /^lib\/(?:\w+\/)*\w+\.js$|^lib\/storage\/migrations\/\d{6}_\w+\.sql$|^docs\/(?:decisions\/)?[\w-]+\.md$/
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
