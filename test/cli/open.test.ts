import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { RawNode } from "../harness/RawNode.ts"
import { attach, childOf, dial, rootOf } from "../harness/TestNode.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { type Ended, TrailsCommand } from "./TrailsCommand.ts"

/** A number that JSON.stringify could not write otherwise. */
const rawJson = (text: string): unknown => (JSON as unknown as { rawJSON: (text: string) => unknown }).rawJSON(text)

let server: Trailsd
let home = ""

const start = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}): TrailsCommand =>
  new TrailsCommand(args, { HOME: home, TRAILS_SERVER: server.url, ...env })

const trails = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}): Promise<Ended> =>
  start(args, env).ended

const stored = (node: RawNode): Promise<boolean> => waitUntil("everything is acked", () => node.inFlight === 0)

const running = async (appName: string, parent?: RawNode): Promise<RawNode> => {
  const node = parent === undefined ? rootOf(server, { appName }) : childOf(server, parent, { appName })
  await attach(server, node)
  node.status({ step: 1, of: 3 })
  await stored(node)
  return node
}

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "trails-cli-"))
  server = await Trailsd.start()
})

afterAll(async () => {
  await server.dispose()
  rmSync(home, { recursive: true })
})

describe("looking, at level open", () => {
  it("tree, children, status, log and subject show what the nodes reported", async () => {
    const root = await running("etl")
    const done = await running("extract", root)
    done.result({ rows: rawJson("12345678901234567890") })
    const failed = await running("lo\u001b[31mad", root)
    failed.error({ exit_code: 3, stderr_tail: "a\nboom\n" })
    await Promise.all([stored(done), stored(failed)])
    const short = root.appId.slice(0, 8)

    const [tree, all, document, children, status, statusJson, log, subject] = await Promise.all([
      trails(["tree", short]),
      trails(["tree"]),
      trails(["tree", short, "--json"]),
      trails(["children", root.appId]),
      trails(["status", failed.appId]),
      trails(["status", done.appId, "--json"]),
      trails(["log", done.appId, "--json"]),
      trails(["subject", done.appId, "--subtree"])
    ])

    expect(tree).toMatchObject({ code: 0, stderr: "" })
    const lines = tree.stdout.trimEnd().split("\n")
    expect(lines[0]).toMatch(new RegExp(`^${short} etl  ● running  1/3  `))
    expect(lines[1]).toMatch(/^├─ [0-9a-f]{8} extract {2}✓ done {2}\{"rows":12345678901234567000\} /)
    expect(lines[2]).toMatch(/^└─ [0-9a-f]{8} lo\\u001b\[31mad {2}✗ error {2}exit 3 · boom /)
    expect(all.stdout).toContain(lines[0]?.split("  ")[0])
    expect(document.stdout).toContain('"rows":12345678901234567890')
    expect((JSON.parse(document.stdout) as { items: Array<unknown> }).items).toHaveLength(3)
    expect(children.stdout.trimEnd().split("\n")).toHaveLength(2)
    expect(status.stdout).toMatch(/state +✗ error\n/)
    expect(JSON.parse(statusJson.stdout)).toMatchObject({ app_name: "extract", status: "done", ended: true })
    const rows = log.stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { kind: string })
    expect(rows.map(({ kind }) => kind)).toEqual(["connected", "status", "result"])
    expect(subject.stdout).toMatch(/^trails\.\*\.\*\.[a-z2-7]{12}\.[a-z2-7]{12}\.>\n$/)
  })

  it("wait prints the very text of a result, survives a restart of the server, and shows progress", async () => {
    const node = await running("slow")
    const waiting = start(["wait", node.appId.slice(0, 8), "--progress"])
    const following = start(["log", node.appId, "--follow", "--json"])
    const watching = start(["tree", node.appId, "--watch", "--json"])
    await waiting.until("it shows what was said last", () => waiting.stderr.includes(" 1/3\n"))
    await waitUntil("the others wait too", () => following.stdout !== "" && watching.stdout !== "")
    node.status({ percent: 50 })
    await waiting.until("progress is shown", () => waiting.stderr.includes(" 50%\n"))

    await server.kill()
    await waiting.until("the server is missed", () => waiting.stderr.includes("Asking again until it answers."))
    await server.start()
    await waitUntil("the node is back", async () => {
      const wire = await attachAgain(node)
      return wire !== null
    })
    node.result({ rows: rawJson("12345678901234567890"), text: "\u202e" })
    expect(await waiting.ended).toMatchObject({ code: 0, stdout: '{"rows":12345678901234567890,"text":"\u202e"}\n' })
    const kinds = (await following.ended).stdout
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { kind: string }).kind)
    expect(kinds.slice(0, 3)).toEqual(["connected", "status", "status"])
    expect(kinds.at(-1)).toBe("result")
    const { code, stdout } = await watching.ended
    expect(code).toBe(0)
    const last = stdout.trimEnd().split("\n").at(-1) ?? ""
    expect((JSON.parse(last) as { items: Array<{ status: string }> }).items[0]?.status).toBe("done")
  })

  it("wait tells by its exit code how they ended, of several the worst, of any the first", async () => {
    const [done, failed, still] = await Promise.all([running("done"), running("failed"), running("still")])
    done.disconnect("completed")
    failed.error({ message: "no space" })
    const gone = rootOf(server, { appName: "gone" })
    ;(await attach(server, gone)).terminate()
    const never = rootOf(server, { appName: "never", startDeadline: 1 })
    await Promise.all([stored(done), stored(failed)])
    const [one, bad, crashed, all, any, timeout, several] = await Promise.all([
      trails(["wait", done.appId]),
      trails(["wait", failed.appId]),
      trails(["wait", gone.appId]),
      trails(["wait", done.appId, failed.appId, gone.appId]),
      trails(["wait", still.appId, failed.appId, "--any"]),
      trails(["wait", still.appId, "--timeout", "100ms"]),
      trails(["wait", still.appId, done.appId, "--timeout", "0"])
    ])
    expect(never.registered).toBeNull()
    expect(one).toMatchObject({ code: 0, stdout: "null\n", stderr: "" })
    expect(bad).toMatchObject({ code: 1, stdout: '{"message":"no space"}\n' })
    expect(bad.stderr).toContain("failed is error: no space")
    expect(crashed).toMatchObject({ code: 2, stdout: "null\n" })
    expect(all.code).toBe(2)
    expect(
      all.stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as unknown)
    ).toEqual(
      expect.arrayContaining([
        { app_id: done.appId, status: "done", result: null },
        { app_id: failed.appId, status: "error", result: { message: "no space" } },
        { app_id: gone.appId, status: "crashed", result: null }
      ])
    )
    expect(any).toMatchObject({
      code: 1,
      stdout: `{"app_id":"${failed.appId}","status":"error","result":{"message":"no space"}}\n`
    })
    expect(timeout).toMatchObject({ code: 3, stdout: "" })
    expect(timeout.stderr).toContain("has not ended; it is running")
    expect(several.code).toBe(3)
    expect(several.stdout).toContain(`{"app_id":"${still.appId}","status":"running","result":null}\n`)
  })

  it("Ctrl-C ends what waits, as a shell expects", async () => {
    const node = await running("endless")
    const watching = start(["tree", node.appId, "--watch"])
    await watching.until("it draws", () => watching.stdout.includes("endless"))
    watching.process.kill("SIGINT")
    expect(await watching.ended).toMatchObject({ code: 130, stderr: "" })
  })

  it("whoami and doctor find server and node; never a ticket", async () => {
    const info = childOf(server, await running("parent"), { appName: "kid" }).envelope.info
    const inside = { TRAILS_SERVER: "", TRAILS_INFO: info }
    const [whoami, doctor, away] = await Promise.all([
      trails(["whoami"], inside),
      trails(["doctor"], inside),
      trails(["doctor", "--server", "127.0.0.1:1", "--json"])
    ])
    expect(whoami).toMatchObject({ code: 0, stderr: "" })
    expect(whoami.stdout).toContain(`${server.http} (from TRAILS_INFO)`)
    expect(whoami.stdout).toContain("kid ")
    expect(whoami.stdout).not.toContain("ticket")
    expect(doctor).toMatchObject({ code: 0, stderr: "" })
    expect(doctor.stdout).not.toContain("FAIL")
    expect(away.code).toBe(1)
    const { checks, ok } = JSON.parse(away.stdout) as {
      ok: boolean
      checks: Array<{ name: string; verdict: string; remedy: string | null }>
    }
    expect(ok).toBe(false)
    expect(checks.find(({ name }) => name === "connection")).toMatchObject({
      verdict: "FAIL",
      remedy: expect.stringContaining("npm start") as string
    })
  })
})

/** Null while the server is not there. */
const attachAgain = async (node: RawNode) => {
  try {
    const wire = await dial(server)
    await node.reRegister(wire)
    return wire
  } catch {
    return null
  }
}
