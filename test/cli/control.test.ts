import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { makeInit } from "../../src/client/init.ts"
import { nodePlatform } from "../../src/client/NodePlatform.ts"
import type { TrailsNode } from "../../src/client/TrailsNode.ts"
import { makeEnvelope } from "../harness/TestEnvelope.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { TrailsCommand } from "./TrailsCommand.ts"

let server: Trailsd
let home = ""
const nodes: Array<TrailsNode> = []

const start = (...args: ReadonlyArray<string>): TrailsCommand =>
  new TrailsCommand(args, { HOME: home, TRAILS_SERVER: server.url })
const trails = (...args: ReadonlyArray<string>) => start(...args).ended

const born = async (
  appName: string,
  parentId: string | null = null,
  tags: Readonly<Record<string, unknown>> = {}
): Promise<TrailsNode> => {
  const { info } = makeEnvelope({ serverEp: server.url, parentId, appName, tags }, null)
  const node = await makeInit(nodePlatform)({ info, exitHook: false })
  nodes.push(node)
  await node.ready()
  return node
}

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "trails-cli-"))
  server = await Trailsd.start()
})
afterAll(async () => {
  for (const node of nodes) await node.shutdown({ timeoutMs: 1 })
  await server.dispose()
  rmSync(home, { recursive: true })
})

describe("send and commands", () => {
  it("prints the very text of the answer; exit codes tell a refusal, a time-out and an expiry", async () => {
    const node = await born("worker")
    node.on("get", () => ({ deep: [1, "a"] }))
    node.on("fail", () => {
      throw new Error("no such table")
    })
    node.on("slow", () => new Promise(() => {}))
    expect(await trails("send", node.appId, "get", "--wait")).toMatchObject({ code: 0, stdout: '{"deep":[1,"a"]}\n' })
    const failed = await trails("send", node.appId, "fail", "--wait")
    expect(failed).toMatchObject({ code: 1, stdout: "" })
    expect(failed.stderr).toContain("was refused: handler_failed: no such table")
    expect(await trails("send", node.appId, "slow", "--wait", "--timeout", "300ms")).toMatchObject({
      code: 3,
      stdout: ""
    })
    const unknown = await trails("send", node.appId, "dance", "--wait")
    expect(unknown).toMatchObject({ code: 1, stdout: "" })
    expect(unknown.stderr).toMatch(/unknown_action\. trails status \w{8} shows which actions it takes/)
    // It waits behind the slow one, in the node's own order, until its time is over.
    const expired = await trails("send", node.appId, "get", "--ttl", "300ms", "--wait")
    expect(expired).toMatchObject({ code: 5, stdout: "" })
    expect(expired.stderr).toContain("has expired")
    const { stdout } = await trails("commands", node.appId)
    expect(stdout).toMatch(/acked.*get[^]*refused.*fail.*no such table[^]*slow/)
    const listed = await trails("commands", node.appId, "--json")
    expect((JSON.parse(listed.stdout) as { items: ReadonlyArray<unknown> }).items).toHaveLength(5)
  })

  it("the same key is the same command, which runs once and is answered the same", async () => {
    const node = await born("once")
    let runs = 0
    node.on("count", () => ++runs)
    const all = await Promise.all(
      Array.from({ length: 3 }, () => trails("send", node.appId, "count", "--wait", "--idempotency-key", "k"))
    )
    expect(all.map(({ code, stdout }) => [code, stdout])).toEqual([0, 0, 0].map((code) => [code, "1\n"]))
  })

  it.each([
    [["send", "zz", "a"], "is not a node's id"],
    [["send", "00000000", "a"], "No node's id begins with"],
    [["send", "00000000", "cancel"], "A cancel has a way of its own"],
    [["send", "00000000", "a", "--payload", "{"], "is not JSON"],
    [["send", "00000000", "a", "--ttl", "soon"], "is no time for --ttl"],
    [["send", "00000000", "a", "--timeout", "5s"], "--timeout goes with --wait"],
    [["cancel", "00000000", "--cascade", "--filter", "a=1", "--filter", "a=2"], "second filter for the same tag"],
    [["cancel", "00000000", "--filter", "a=b"], "--filter goes with --cascade"],
    [["cancel", "00000000", "--cascade", "--filter", "a"], "is no filter"],
    [["cancel", "00000000", "--payload", "1"], "--payload goes with --action"],
    [["send", "00000000", "a", "--ttl", "0"], "is no time for --ttl.\nWrite seconds"],
    [["send", "00000000", "a", "--idempotency-key", ""], "--idempotency-key takes 1 to 256 bytes"],
    [["cancel", "00000000", "--cascade", "--deadline", "0"], "is no time for --deadline"],
    [["cancel", "00000000", "--action", "cancel"], "Leave --action out"],
    [["cascade", "nothing"], '"nothing" is not an operation\'s id.\ntrails cascade lists'],
    [["cascade", "--retry"], "--retry goes with an operation's id.\ntrails cascade lists"],
    [["cascade", "00000000"], "None of the newest 100 operations has an id that begins with 00000000"],
    [
      ["cascade", "00000000-0000-4000-8000-000000000000"],
      "There is no operation 00000000-0000-4000-8000-000000000000.\ntrails cascade lists"
    ],
    [["cascade", "00000000-0000-4000-8000-000000000000", "--retry"], "trails cascade lists the operations"]
  ])("%j is wrong usage, and says what to do", async (args, words) => {
    const { code, stderr, stdout } = await trails(...args)
    expect([code, stdout]).toEqual([64, ""])
    expect(stderr).toContain(words)
  })
})

describe("cancel, cascade, orphans and watch", () => {
  it("plans, cancels by tags, and reports; whoever interrupts leaves it going on", async () => {
    const root = await born("root")
    const gas = await born("gas", root.appId, { device_type: "gas_detector" })
    const smoke = await born("smoke", root.appId, { device_type: "smoke_detector" })
    for (const node of [root, gas, smoke]) node.onCancel(() => null)
    const plan = await trails("cancel", "--cascade", "--dry-run", root.appId)
    expect(plan.stdout).toMatch(/cancel \w{8} root and all below it: 3 nodes, 2 levels[^]*3 to be asked/)
    const filtered = await trails("cancel", "--cascade", "--filter", "device_type=gas_detector", root.appId)
    expect(filtered).toMatchObject({ code: 0 })
    expect(filtered.stdout).toContain("1 acked")
    expect((await trails("status", gas.appId)).stdout).toContain("cancelled")
    expect((await trails("status", smoke.appId)).stdout).toContain("connected")

    smoke.onCancel(() => new Promise(() => {}))
    const whole = start("cancel", "--cascade", "--grace", "1", "--reason", "over", root.appId)
    await whole.until("it is under way", () => whole.stderr.includes("through"))
    whole.process.kill("SIGINT")
    const left = await whole.ended
    expect(left.code).toBe(130)
    const id = /trails cascade ([\w-]{36})/.exec(left.stderr)![1]!
    const report = await trails("cascade", id.slice(0, 8))
    expect(report.code).toBe(1)
    expect(report.stdout).toMatch(/1 acked, 1 forced, 1 ended before[^]*forced +\w{8} smoke/)
  })

  it("lists who runs below an end, and tells what happens once and in order, over a restart of the server", async () => {
    const root = await born("parent")
    const child = await born("left behind", root.appId)
    const watch = start("watch", "--json", "--kind", "result,status", root.appId)
    // It begins at the end of the log: what it shows first came after it was there.
    await waitUntil("it watches", async () => {
      child.status({ ping: true })
      return watch.stdout !== ""
    })
    root.result({ rows: 1 })
    await watch.until("the end of the root is told", () => watch.stdout.includes('"kind":"result"'))
    const orphans = await trails("orphans")
    expect(orphans.stdout).toMatch(/left behind.*below \w{8} parent, done/)
    await server.kill()
    await server.start()
    child.status({ after: "restart" })
    await watch.until("what comes after a restart is told", () => watch.stdout.includes("restart"))
    watch.process.kill("SIGINT")
    const { code, stdout } = await watch.ended
    expect(code).toBe(130)
    const ids = stdout
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { id: string }).id)
    expect(new Set(ids).size).toBe(ids.length)
    const numbers = ids.filter((id) => id.startsWith(child.appId)).map((id) => Number(id.split(":")[1]))
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
  })
})
