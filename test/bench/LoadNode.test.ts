import { describe, expect, it } from "vitest"
import { LoadNode } from "../../bench/load/LoadNode.ts"
import { Tally } from "../../bench/load/Tally.ts"
import type { Dialect } from "../../src/protocol/Frames.ts"

const WINDOW = 4

const make = (dialect: Dialect = "v1", quota: number | null = null) => {
  const tally = new Tally()
  const birth = { appId: "0198c0de-0000-4000-8000-000000000001", appName: "one", info: null, quota }
  const node = new LoadNode(birth, { dialect, level: "open", window: WINDOW, payload: '{"pad":""}' }, tally)
  node.attach({ incarnation: 1, last_seq: 0 }, 0)
  const send = (count: number) => Array.from({ length: count }, () => node.next())
  const unacked = () => [...node.unacked()].map((text) => (JSON.parse(text) as { header: { seq: number } }).header.seq)
  return { node, tally, send, unacked }
}

describe("a node of load", () => {
  it("version 1: an ack covers all before it; what is left is sent again with the same bytes", () => {
    const { node, send, tally, unacked } = make()
    const texts = send(WINDOW)
    expect(node.hasRoom).toBe(false)
    node.ack(3, 5)
    node.ack(2, 5)
    expect([node.acked, tally.acked, node.hasRoom, node.isSettled]).toEqual([3, 3, true, false])
    expect(unacked()).toEqual([4])
    expect([...node.unacked()]).toEqual([texts[3]])
  })

  it("legacy: an ack is of one message, in whatever order, and the window waits for the oldest", () => {
    const { node, send, tally, unacked } = make("legacy")
    send(WINDOW)
    for (const seq of [2, 4, 2]) node.ack(seq, 5)
    expect([node.acked, tally.acked, node.hasRoom]).toEqual([0, 2, false])
    expect(unacked()).toEqual([1, 3])
    node.ack(1, 5)
    expect([node.acked, tally.acked, node.hasRoom]).toEqual([2, 3, true])
    node.ack(3, 5)
    expect([node.acked, node.isSettled, tally.latency.total]).toEqual([4, true, 4])
  })

  it("what registered says to be stored is acked; acked messages that it does not know are a violation", () => {
    const { node, send, tally, unacked } = make()
    send(WINDOW)
    node.ack(1, 5)
    node.attach({ incarnation: 1, last_seq: 3 }, 6)
    expect([unacked(), tally.acked, tally.violations, tally.attached]).toEqual([[4], 3, 0, 1])
    node.attach({ incarnation: 1, last_seq: 2 }, 7)
    expect([tally.acked, tally.violations]).toEqual([3, 1])
  })

  it("an ack of what was never sent is a violation and counts for nothing", () => {
    const { node, send, tally } = make()
    send(1)
    node.ack(2, 5)
    node.ack(0, 5)
    expect([node.acked, tally.acked, tally.violations]).toEqual([0, 0, 2])
  })

  it("latency counts from the first sending, over a reconnection", () => {
    const { node, send, tally } = make()
    const before = performance.now()
    send(1)
    node.attach({ incarnation: 1, last_seq: 0 }, before + 900)
    node.ack(1, before + 1000)
    expect(tally.latency.maxMs).toBeGreaterThan(900)
  })

  it("has no room beyond its quota, below the socket's limit, or when it is refused", () => {
    const { node, send } = make("v1", 2)
    node.allowed = 1
    send(1)
    expect(node.hasRoom).toBe(false)
    node.ack(1, 5)
    expect([node.hasRoom, node.isFinished]).toEqual([true, false])
    send(1)
    node.ack(2, 5)
    expect([node.hasRoom, node.isFinished]).toEqual([false, true])
    const other = make()
    other.node.refuse()
    other.node.refuse()
    expect([other.node.hasRoom, other.node.isFinished, other.tally.refused]).toEqual([false, true, 1])
  })

  it("its disconnect takes the next seq, and its ack ends it", () => {
    const { node, send, tally } = make()
    send(2)
    expect(JSON.parse(node.bye())).toMatchObject({ type: "disconnect", seq: 3, reason: "completed" })
    node.ack(3, 5)
    expect([node.isGone, node.isSettled, tally.acked, tally.violations]).toEqual([true, true, 2, 0])
  })
})
