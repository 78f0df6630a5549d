import { afterEach, describe, expect, it } from "vitest"
import type { LoadPlan } from "../../bench/load/LoadPlan.ts"
import { NodeGroup } from "../../bench/load/NodeGroup.ts"
import type { Report } from "../../bench/load/Tally.ts"
import { makeKeypair } from "../harness/Keypair.ts"
import { FakeServer } from "./FakeServer.ts"

const servers: Array<FakeServer> = []
afterEach(async () => {
  while (servers.length > 0) await servers.pop()!.close()
})

const fake = async (options: Parameters<typeof FakeServer.start>[0] = {}): Promise<FakeServer> => {
  const server = await FakeServer.start(options)
  servers.push(server)
  return server
}

const APP = "0198c0de-0000-4000-8000-000000000001"

/** One node with a quota, from its first registration to its end. */
const run = async (urls: ReadonlyArray<FakeServer>, quota: number, plan: Partial<LoadPlan> = {}): Promise<Report> => {
  const group = new NodeGroup({
    urls: urls.map(({ url }) => url),
    firstUrl: 0,
    level: "open",
    legacy: false,
    window: 4,
    nodesPerSocket: 1,
    width: 10,
    rate: null,
    serverKey: null,
    payload: '{"pad":""}',
    seconds: null,
    births: [{ appId: APP, appName: "one", info: null, quota }],
    ...plan
  })
  await group.attach()
  await group.send()
  await group.leave()
  return group.report
}

describe("a load process against a server that misbehaves", () => {
  it("sends again from the message that was refused as retryable, in order", async () => {
    const server = await fake()
    let came = 0
    server.onFrame = (frame, socket) => {
      const seq = frame.header?.seq
      if (frame.type === "register") return server.accept(frame, socket)
      if (seq === 2 && ++came === 1) {
        server.error(frame, socket, { code: "overloaded", seq, retryable: true, retry_after_ms: 40 })
        return server.ack({ ...frame, header: { seq: 1 } }, socket)
      }
      // Until 2 has come again all after it are refused, too.
      if (came === 1 && seq !== undefined) return
      if (seq !== 1) server.ack(frame, socket)
    }
    expect(await run([server], 6)).toMatchObject({ sent: 6, acked: 6, refused: 0, violations: 0, reconnects: 0 })
    expect(server.seqs).toEqual([1, 2, 3, 4, 2, 3, 4, 5, 6])
  })

  it("going_away: comes back at another URL with the last acked seq, and sends again only what is not stored", async () => {
    const one = await fake()
    const two = await fake()
    one.onFrame = (frame, socket) => {
      if (frame.type === "register") return one.accept(frame, socket)
      if (frame.header?.seq === 1) one.ack(frame, socket)
      if (frame.header?.seq !== 4) return
      one.error(frame, socket, { code: "going_away", retryable: true, retry_after_ms: 600_000 })
      socket.close(1001)
    }
    two.onFrame = (frame, socket) => {
      if (frame.type === "re_register") two.accept(frame, socket, { last_seq: 2 })
      else two.ack(frame, socket)
    }
    expect(await run([one, two], 6)).toMatchObject({ sent: 6, acked: 6, reconnects: 1 })
    expect(two.frames[0]).toMatchObject({ type: "re_register", last_seq: 1 })
    expect(two.seqs).toEqual([3, 4, 5, 6])
    expect(one.sockets).toBe(1)
  })

  it("a registration that is refused as retryable is asked again, one that is not is the end of the node", async () => {
    const server = await fake()
    let asked = 0
    server.onFrame = (frame, socket) => {
      const isFirst = ++asked === 1
      server.error(frame, socket, {
        code: isFirst ? "unavailable" : "key_mismatch",
        retryable: isFirst,
        retry_after_ms: 1
      })
    }
    const report = await run([server], 3)
    expect(report).toMatchObject({ attached: 0, sent: 0, acked: 0, refused: 1, reconnects: 0 })
    expect(report.problems).toContainEqual(["refused: key_mismatch: because", 1])
    expect(asked).toBe(2)
  })

  it("a message that is refused for good ends the node: it counts as sent and not as acked", async () => {
    const server = await fake()
    server.onFrame = (frame, socket) => {
      if (frame.type === "register") server.accept(frame, socket)
      else if (frame.header?.seq === 3) server.error(frame, socket, { code: "terminal", seq: 3 })
      else if (frame.header !== undefined && frame.header.seq < 3) server.ack(frame, socket)
    }
    const report = await run([server], 4)
    expect(report).toMatchObject({ sent: 4, acked: 2, refused: 1 })
  })

  it("signed: an ack under another key is a violation and acks nothing; the socket is not used any more", async () => {
    const server = await fake({ isSigned: true })
    const forger = makeKeypair()
    server.onFrame = (frame, socket) => {
      if (frame.type === "register") server.accept(frame, socket)
      else if (frame.type === "re_register") server.accept(frame, socket, { last_seq: 0 })
      else server.ack(frame, socket, server.sockets === 1 ? forger : server.keys)
    }
    const report = await run([server], 2, { level: "signed", serverKey: server.keys.text })
    expect(report.violations).toBeGreaterThan(0)
    expect(report).toMatchObject({ sent: 2, acked: 2, reconnects: 1 })
    expect(server.frames.filter(({ type }) => type === "re_register")).toMatchObject([{ last_seq: 0 }])
  })

  it("signed: a registered that holds a nonce of another conversation is not believed", async () => {
    const server = await fake({ isSigned: true })
    let recorded = false
    server.onFrame = (frame, socket) => {
      if (frame.header !== undefined || frame.type === "disconnect") return server.ack(frame, socket)
      server.accept(frame, socket, recorded ? {} : { nonce: Buffer.alloc(32).toString("base64") })
      recorded = true
    }
    const report = await run([server], 1, { level: "signed", serverKey: server.keys.text })
    expect(report).toMatchObject({ sent: 1, acked: 1, violations: 1, attached: 1, reconnects: 0 })
    expect(server.sockets).toBe(2)
  })

  it("control: an unknown action is answered and nothing else, cancel ends the node", async () => {
    const server = await fake()
    const control = (action: string, correlation_id: string) => ({
      ...{ type: "control", app_id: APP, incarnation: 1, session: APP, epoch: 1, action, correlation_id },
      ...{ payload: null, issued_by: "x", issued_at: 1, expires_at: 2 }
    })
    server.onFrame = (frame, socket) => {
      if (frame.type === "register") return server.accept(frame, socket)
      if (frame.header !== undefined) server.ack(frame, socket)
      if (frame.header?.seq === 1) server.say(socket, control("dance", "a"))
      if (frame.header?.seq === 3) server.say(socket, control("cancel", "b"))
    }
    const report = await run([server], 1_000_000)
    expect(report).toMatchObject({ refused: 1, violations: 0 })
    expect(server.frames.filter(({ type }) => type === "control_result")).toMatchObject([
      { correlation_id: "a", ack: false, error: "unknown_action" },
      { correlation_id: "b", ack: true, result: null }
    ])
  })
})
