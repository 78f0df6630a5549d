import { randomBytes } from "node:crypto"
import { describe, expect, it } from "vitest"
import type { AgentAnswer, AgentRequest } from "../../src/client/AgentMessage.ts"
import { JsonText } from "../../src/client/JsonText.ts"
import { LiveNode } from "../../src/client/LiveNode.ts"
import { Stage } from "./Stage.ts"

const live = (node: unknown): LiveNode => {
  if (!(node instanceof LiveNode)) throw new Error("it is not live")
  return node
}

describe("a node that another process goes on with", () => {
  it("re-registers under the same key, place and order, and sends what was not acked", async () => {
    const stage = new Stage()
    const seed = new Uint8Array(randomBytes(32))
    const { appId, info } = stage.envelope()
    const first = live(await stage.init({ info, seed, exitHook: false }))
    await stage.platform.settle()
    await stage.hello()
    await stage.admit(appId)
    for (const word of ["acked", "under way"]) first.status(word)
    await stage.platform.settle()
    await stage.ack(appId, 1)
    first.report("Result", JsonText.parse('{"n": 12345678901234567890}'), {})
    await stage.platform.settle()
    const handOver = first.handOver()
    expect(handOver).not.toBeNull()
    expect(first.handOver()).toBeNull()
    const before = stage.socket.of("register")[0]

    const other = live(await stage.init({ resume: JSON.parse(JSON.stringify(handOver)), seed, exitHook: false }))
    await stage.platform.settle()
    const socket = stage.socket
    await stage.hello()
    const [asked] = socket.of("re_register")
    expect(asked).toMatchObject({
      app_id: first.appId,
      incarnation: 1,
      last_seq: 1,
      pub_key: before?.["child_pub_key"]
    })
    await stage.admit(appId)
    expect(socket.seqs).toEqual([2, 3])
    expect(socket.sent.at(-1)).toContain('"payload":{"n": 12345678901234567890}')
    // It has said its end: `shutdown` adds no farewell.
    const done = other.shutdown()
    await stage.ack(appId, 3)
    expect(await done).toBe(true)
    expect(socket.of("disconnect")).toEqual([])
  })

  it("registers anew when it never had a session", async () => {
    const stage = new Stage()
    const seed = new Uint8Array(randomBytes(32))
    const { appId, info } = stage.envelope()
    const first = live(await stage.init({ info, seed, exitHook: false }))
    first.result(1)
    const handOver = first.handOver()
    expect(handOver?.place).toBeNull()
    const other = live(await stage.init({ resume: handOver!, seed, exitHook: false }))
    await stage.platform.settle()
    await stage.hello()
    await stage.admit(appId)
    expect(stage.socket.seqs).toEqual([1])
    const done = other.shutdown()
    await stage.ack(appId, 1)
    expect(await done).toBe(true)
  })
})

describe("below a trails run", () => {
  const asked = async (answer: (request: AgentRequest) => Promise<AgentAnswer>, path = "/run/agent") => {
    const stage = new Stage()
    const own = stage.envelope()
    const requests: Array<AgentRequest> = []
    stage.platform.variables = { TRAILS_INFO: own.info, TRAILS_AGENT: path }
    stage.platform.askAgent = (_, request) => {
      requests.push(request)
      return answer(request)
    }
    return { node: await stage.init({ exitHook: false }), own, requests, stage }
  }

  it("a process asks the run who it is, and is what the environment says when that is so", async () => {
    const { node, own, requests } = await asked(() => Promise.resolve({ ok: true, info: null }))
    expect(requests).toEqual([{ op: "claim", appId: own.appId }])
    expect(node.appId).toBe(own.appId)
  })

  it("a process is another child when somebody was first", async () => {
    const other = new Stage().envelope()
    const { node } = await asked(() => Promise.resolve({ ok: true, info: other.info }))
    expect(node.appId).toBe(other.appId)
  })

  it("without an answer the environment counts, and an empty TRAILS_AGENT is none", async () => {
    const gone = await asked(() => Promise.reject(new Error("gone")))
    expect(gone.node.appId).toBe(gone.own.appId)
    const none = await asked(() => Promise.reject(new Error("not to be asked")), "")
    expect([none.node.appId, none.requests]).toEqual([none.own.appId, []])
  })
})
