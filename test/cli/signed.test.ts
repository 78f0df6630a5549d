import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { makeKeypair, secretPem } from "../harness/Keypair.ts"
import { attach, rootOf } from "../harness/TestNode.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { TrailsCommand } from "./TrailsCommand.ts"

let server: Trailsd
let elsewhere = ""

/** As the user who runs trailsd, on the same machine: its home has the server's own file. */
const here = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  new TrailsCommand(args, { HOME: server.folder, TRAILS_SERVER: `127.0.0.1:${server.port}`, ...env }).ended

const there = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  here(args, { HOME: elsewhere, ...env })

beforeAll(async () => {
  elsewhere = mkdtempSync(join(tmpdir(), "trails-elsewhere-"))
  server = await Trailsd.start({ env: { TRAILS_MIN_LEVEL: "signed" } })
})

afterAll(async () => {
  await server.dispose()
  rmSync(elsewhere, { recursive: true })
})

describe("looking, at level signed", () => {
  it("needs no options on the machine of the server", async () => {
    const node = rootOf(server, { appName: "nightly", level: "signed" })
    await attach(server, node)
    node.result({ rows: 3 })
    await waitUntil("it is stored", () => node.inFlight === 0)
    const [tree, wait, doctor, whoami] = await Promise.all([
      here(["tree", node.appId.slice(0, 8)]),
      here(["wait", node.appId]),
      here(["doctor"]),
      here(["whoami", "--json"])
    ])
    expect(tree).toMatchObject({ code: 0, stderr: "", stdout: expect.stringContaining("nightly  ✓ done") as string })
    expect(wait).toMatchObject({ code: 0, stdout: '{"rows":3}\n' })
    expect(doctor).toMatchObject({ code: 0, stderr: "" })
    expect(JSON.parse(whoami.stdout)).toMatchObject({
      server: { level: "signed", serverPubKey: server.serverKey.text },
      admin: { publicKey: expect.stringMatching(/^ed25519:/) as string }
    })
  })

  it("elsewhere says which key is missing, and takes the one of a context", async () => {
    const keyFile = join(server.dataDir, "admin.key.pem")
    const url = ["--server", server.url]
    expect(await there(["tree"])).toMatchObject({
      code: 77,
      stdout: "",
      stderr: expect.stringContaining("TRAILS_ADMIN_KEY_FILE") as string
    })
    expect(await there(["doctor"])).toMatchObject({
      code: 1,
      stdout: expect.stringContaining("wants signed requests") as string
    })
    expect(await there(["context", "add", "prod", ...url, "--admin-key", keyFile])).toMatchObject({ code: 0 })
    expect(await there(["context", "use", "prod"])).toMatchObject({ code: 0 })
    expect(await there(["tree"], { TRAILS_SERVER: "" })).toMatchObject({ code: 0 })
  })

  it("refuses another key, and never shows a secret one", async () => {
    const pair = makeKeypair()
    const file = join(elsewhere, "other.pem")
    writeFileSync(file, secretPem(pair), { mode: 0o600 })
    const { code, stderr } = await there(["tree"], { TRAILS_ADMIN_KEY_FILE: file })
    expect(code).toBe(77)
    expect(stderr).toContain(`does not know the key ${pair.text}`)
  })
})
