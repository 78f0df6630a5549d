import { describe, expect, it } from "vitest"
import type { InitOptions } from "../../src/client/TrailsNode.ts"
import { makeKeypair } from "../harness/Keypair.ts"
import { Stage } from "./Stage.ts"

const base64 = (text: string): string => Buffer.from(text).toString("base64")

/** No-op: nothing is opened, nothing runs, and there are that many warnings. */
const expectIdle = async (stage: Stage, options: InitOptions, warnings: number) => {
  const node = await stage.init(options)
  await stage.platform.settle()
  expect(node.isActive).toBe(false)
  expect(stage.platform).toMatchObject({ sockets: [], timers: 0, alive: 0, watcher: null })
  expect(stage.platform.warnings).toHaveLength(warnings)
  return { node, warning: stage.platform.warnings[0] ?? "" }
}

describe("init without a tree", () => {
  it("is a no-op without a word when there is no TRAILS_INFO, and every method succeeds", async () => {
    const { node } = await expectIdle(new Stage(), {}, 0)
    expect(node.status({ a: 1 })).toMatchObject({ queued: false, reason: "inactive" })
    expect(node.result()).toMatchObject({ queued: false, reason: "inactive" })
    expect(node.error(new Error("x"))).toMatchObject({ queued: false, reason: "inactive" })
    node.onCancel(() => {})
    const child = await node.createChild("child", { tags: { a: 1 } })
    expect(child).toMatchObject({ name: "child", info: "", env: {} })
    expect(await child.declared).toMatchObject({ ok: false, code: "inactive" })
    expect(await child.wait()).toBeNull()
    child.onEvent(() => {})()
    expect(await node.ready()).toBe(false)
    expect(node.stats()).toMatchObject({ state: "inactive", waiting: 0 })
    expect(node.context).toEqual({})
    expect(await node.shutdown()).toBe(true)
    await node[Symbol.asyncDispose]()
  })

  it("is a no-op for an empty TRAILS_INFO too", async () => {
    const stage = new Stage()
    stage.platform.variables = { TRAILS_INFO: "  \n" }
    await expectIdle(stage, {}, 0)
  })

  it("warns exactly once of one that can't be read", async () => {
    for (const info of ["not base64 !", base64("{"), base64("[]"), base64('{"v":1}'), base64("null")]) {
      const stage = new Stage()
      stage.platform.variables = { TRAILS_INFO: info }
      const { warning } = await expectIdle(stage, {}, 1)
      expect(warning).toMatch(/^TRAILS_INFO.*Nothing is reported/)
    }
  })

  it.each<[string, Readonly<Record<string, unknown>>, RegExp]>([
    ["another version", { v: 2 }, /v/],
    ["bootstrap", { mode: "bootstrap" }, /bootstrap/],
    ["a transport that it does not speak", { serverEp: "mqtt://127.0.0.1" }, /ws and wss/],
    ["a level that it has not", { secLevel: "encrypted" }, /encrypted/],
    ["another childKey", { childKey: makeKeypair().text }, /childKey/]
  ])("warns of %s", async (_, extra, expected) => {
    const stage = new Stage()
    const { warning } = await expectIdle(stage, { info: stage.envelope({ extra }).info }, 1)
    expect(warning).toMatch(expected)
  })

  it("warns of capabilities that no server takes", async () => {
    for (const capabilities of [
      ["x".repeat(257)],
      Array.from({ length: 129 }, String),
      ["a\0"],
      [7],
      "stop"
    ] as never[]) {
      const stage = new Stage()
      const { warning } = await expectIdle(stage, { info: stage.envelope().info, capabilities }, 1)
      expect(warning).toMatch(/capabilities must be at most 128 names/)
    }
  })

  it("warns of a seed that is none, and shows nothing of it", async () => {
    for (const seed of [new Uint8Array(31), "0123456789abcdef0123456789abcdef" as never]) {
      const stage = new Stage()
      const { warning } = await expectIdle(stage, { info: stage.envelope().info, seed }, 1)
      expect(warning).toMatch(/seed must be 32 bytes/)
      expect(warning).not.toContain("0123456789")
    }
  })

  it("survives a `warn` that throws", async () => {
    const warn = () => {
      throw new Error("the log is full")
    }
    const node = await new Stage().init({ info: "?", warn })
    expect(node.isActive).toBe(false)
  })
})

describe("init", () => {
  it("trims the variable, connects at once and keeps no process alive by that", async () => {
    const stage = new Stage()
    const { appId, info } = stage.envelope()
    stage.platform.variables = { TRAILS_INFO: ` ${info}\n` }
    const node = await stage.init()
    expect(node).toMatchObject({ isActive: true, appId, parentId: null, name: "node" })
    expect(stage.connects).toBe(1)
    expect(stage.platform.alive).toBe(0)
    await stage.hello()
    expect(stage.asked(appId)).toMatchObject({ type: "register", info, server_key: stage.keys.text, role_refs: [] })
  })

  it("takes the seed of the childKey", async () => {
    const stage = new Stage()
    const seed = Uint8Array.from({ length: 32 }, (_, i) => i)
    const childKey = "ed25519:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
    const { appId } = await stage.node({ seed }, { childKey })
    await stage.hello()
    expect(stage.asked(appId)).toMatchObject({ child_pub_key: childKey })
  })

  it("gives the same node for the same envelope, and a new one after its end", async () => {
    const stage = new Stage()
    const { info } = stage.envelope()
    const [first, second] = await Promise.all([stage.init({ info }), stage.init({ info })])
    expect(second).toBe(first)
    expect(await stage.init({ info })).toBe(first)
    const over = first!.shutdown({ timeoutMs: 1 })
    await stage.platform.advance(1)
    expect(await over).toBe(false)
    expect(await stage.init({ info })).not.toBe(first)
  })

  it("makes a root of level open from a name and an address", async () => {
    const stage = new Stage("sync", "open")
    const node = await stage.init({ root: { appName: "job", serverEp: "ws://127.0.0.1:1/ws" } })
    await stage.hello()
    expect(stage.asked(node.appId)).toMatchObject({ app_name: "job", parent_id: null, sig: null })
  })

  it("watches the end of the process once, and not for nodes that asked it not to", async () => {
    const silent = new Stage()
    await silent.node({ exitHook: false })
    expect(silent.platform.watcher).toBeNull()
    const stage = new Stage()
    const { appId, node } = await stage.attached()
    stage.platform.watcher?.ending(3)
    // In the very turn in which it is told: there is no other.
    expect(stage.socket.frames.at(-1)).toMatchObject({ type: "disconnect", app_id: appId, reason: "exit code 3" })
    expect(node.status(1)).toMatchObject({ reason: "ended" })
  })
})
