import { Effect, Layer } from "effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import type { EventFrame } from "../../src/protocol/Frames.ts"
import type { MemoryTables } from "../../src/storage/MemoryTables.ts"
import * as MemoryTreeLog from "../../src/storage/MemoryTreeLog.ts"
import { StoreError } from "../../src/storage/StoreError.ts"
import { TreeLog } from "../../src/storage/TreeLog.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { Wire } from "../harness/Wire.ts"
import { birthOf, requestOf, statusEntry, statusWrite } from "../storage/rows.ts"
import { Peer } from "./Peer.ts"
import { startTransport, type Transport } from "./startTransport.ts"

/** `MemoryTreeLog` with the faults of a database. */
class FaultyLog {
  fault: "none" | "away" | "defect" = "none"
  reads = 0
  /** Reads have looked and wait with what they found. */
  held: Array<() => void> | null = null

  readonly layer: Layer.Layer<TreeLog, never, MemoryTables> = Layer.effect(
    TreeLog,
    Effect.map(TreeLog, (log) => ({
      ...log,
      follow: (...args) =>
        Effect.suspend(() => {
          this.reads++
          if (this.fault === "defect") return Effect.die(new Error("bug"))
          return this.fault === "away"
            ? Effect.fail(new StoreError({ reason: "Unavailable", operation: "log", message: "gone" }))
            : Effect.tap(log.follow(...args), () => this.#gate)
        })
    }))
  ).pipe(Layer.provide(MemoryTreeLog.layer))

  release(): void {
    const held = this.held ?? []
    this.held = null
    for (const go of held) go()
  }

  readonly #gate = Effect.callback<void>((resume) => {
    if (this.held === null) resume(Effect.void)
    else this.held.push(() => resume(Effect.void))
  })
}

describe("subscribe", () => {
  let transport: Transport
  let log: FaultyLog
  const start = async (limits: Parameters<typeof startTransport>[1] = {}) => {
    log = new FaultyLog()
    transport = await startTransport({}, { watchSweepMs: 50, ...limits }, undefined, log.layer)
  }
  beforeEach(() => start())
  afterEach(() => transport.stop())
  const restart = async (limits: Parameters<typeof startTransport>[1]) => {
    await transport.stop()
    await start(limits)
  }

  const parent = async (signed = false) => {
    const peer = await Peer.connect(transport, { signed })
    expect(await peer.register()).toMatchObject({ type: "registered" })
    await Effect.runPromise(transport.store.birth(requestOf(birthOf(), { appId: peer.appId })))
    return peer
  }
  const subscribe = (peer: Peer, from?: string, scope = "children") =>
    peer.send({ type: "subscribe", app_id: peer.appId, incarnation: 1, scope, from })
  /** A child in the store, and a way to append to its log. */
  const child = async (peer: Peer) => {
    const born = await Effect.runPromise(transport.store.birth(requestOf(birthOf(), { parentId: peer.appId })))
    if (born._tag !== "Born") throw new Error(born._tag)
    let { n } = born.row
    const { appId } = born.row
    const report = async (count = 1, payload = "{}", store = transport.store) => {
      const rows = Array.from({ length: count }, (_, index) => statusEntry(appId, n + index, payload))
      await Effect.runPromise(store.append(0, [statusWrite({ ...born.row, n }, n, { rows })]))
      n += count
    }
    return { appId, report }
  }
  const events = (peer: Peer) => peer.frames.filter((frame): frame is EventFrame => frame.type === "event")
  const counters = (peer: Peer) => events(peer).map(({ event }) => event.data.n)
  const upTo = (n: number) => Array.from({ length: n }, (_, index) => index + 1)
  const stats = () => transport.watching.stats()

  it("a hint wakes it at once: no sweep is needed", async () => {
    await restart({ watchSweepMs: 3_600_000 })
    const peer = await parent()
    subscribe(peer)
    const node = await child(peer)
    for (let i = 0; i < 20; i++) {
      await node.report()
      await waitUntil("its event", () => events(peer).length === i + 2)
    }
    expect(counters(peer)).toEqual(upTo(21))
  })

  it("another replica's word that it has committed wakes it: no sweep is waited for", async () => {
    await restart({ watchSweepMs: 3_600_000 })
    const peer = await parent()
    subscribe(peer)
    const node = await child(peer)
    await waitUntil("its birth", () => events(peer).length === 1)
    for (let i = 0; i < 5; i++) {
      await node.report(1, "{}", transport.elsewhere)
      transport.hints.tellForeign()
      await waitUntil("its event", () => events(peer).length === i + 2)
    }
    expect(counters(peer)).toEqual(upTo(6))
    expect(transport.hints.awaitsForeign()).toBe(true)
    peer.wire.terminate()
    await waitUntil("nobody listens", () => !transport.hints.awaitsForeign())
  })

  it("a commit while a page is being read is not slept over", async () => {
    await restart({ watchSweepMs: 3_600_000 })
    const peer = await parent()
    const node = await child(peer)
    log.held = []
    subscribe(peer)
    await waitUntil("the read", () => log.held!.length === 1)
    await node.report()
    log.release()
    await waitUntil("both events", () => events(peer).length === 2)
  })

  it("what was read for a subscription is not sent in the name of the one that took its place", async () => {
    const peer = await parent()
    const node = await child(peer)
    await node.report(4)
    subscribe(peer)
    await waitUntil("all", () => events(peer).length === 5)
    log.held = []
    subscribe(peer)
    await waitUntil("the read", () => log.held!.length === 1)
    subscribe(peer, events(peer)[3]!.cursor)
    // Frames of a node are taken in order: this one's refusal says that the one before it has been.
    subscribe(peer, "none")
    await waitUntil("the refusal", () => peer.errors.length === 1)
    log.release()
    await node.report()
    await waitUntil("the news", () => counters(peer).at(-1) === 6)
    expect(counters(peer)).toEqual([1, 2, 3, 4, 5, 5, 6])
  })

  it("what happens below a child wakes who watches the subtree, and not who watches children", async () => {
    await restart({ watchSweepMs: 3_600_000 })
    const [top, mid] = [await parent(), await Peer.connect(transport)]
    await mid.register()
    await Effect.runPromise(transport.store.birth(requestOf(birthOf(), { appId: mid.appId, parentId: top.appId })))
    subscribe(top)
    await waitUntil("the child", () => events(top).length === 1)
    const leaf = await child(mid)
    subscribe(mid)
    await waitUntil("the leaf", () => events(mid).length === 1)
    const { reads } = log
    for (let i = 0; i < 5; i++) {
      await leaf.report()
      await waitUntil("its event", () => events(mid).length === i + 2)
    }
    expect(log.reads - reads).toBeLessThan(8)
    subscribe(top, undefined, "subtree")
    await waitUntil("all", () => events(top).length === 8)
    await leaf.report()
    await waitUntil("the news", () => events(top).length === 9)
  })

  it("a session that ends on a socket that goes on takes its subscription along", async () => {
    const wire = await Wire.open(transport.url)
    const [one, two] = [new Peer(transport, wire), new Peer(transport, wire)]
    for (const peer of [one, two]) {
      await peer.register()
      subscribe(peer)
    }
    await waitUntil("both", () => stats().subscriptions === 2)
    transport.actors.sessions.get(one.appId)!.end(null)
    expect(stats().subscriptions).toBe(1)
  })

  it("many pages of history, in order, and live behind them", async () => {
    const peer = await parent(true)
    const node = await child(peer)
    await node.report(3000)
    subscribe(peer)
    await node.report(500)
    await waitUntil("all", () => events(peer).length === 3501)
    expect(counters(peer)).toEqual(upTo(3501))
    expect(peer.received.every(({ signed }) => signed)).toBe(true)
  })

  it("who does not read is sent no more, is not cut, keeps nothing in memory, and holds up nobody", async () => {
    const slow = await parent()
    const quick = await parent()
    const [one, other] = [await child(slow), await child(quick)]
    subscribe(slow)
    subscribe(quick)
    slow.wire.freeze()
    const large = JSON.stringify("x".repeat(100_000))
    await one.report(600, large)
    await waitUntil("the slow one to starve", () => stats().starved === 1)
    await other.report(600, large)
    await waitUntil("all that the quick one is sent", () => events(quick).length === 601)
    const { reads } = log
    await one.report(10, large)
    await waitUntil("the quick one's next", async () => {
      await other.report()
      return log.reads > reads + 20
    })
    expect(stats()).toEqual({ subscriptions: 2, starved: 1 })
    expect(events(slow).length).toBeLessThan(600)
    expect(transport.actors.losses(slow.appId)).toEqual([])
    slow.wire.thaw()
    await waitUntil("all that the slow one is sent", () => events(slow).length === 611)
    expect(counters(slow)).toEqual(upTo(611))
  })

  it("one that starves while its socket ends is forgotten", async () => {
    const peer = await parent()
    const node = await child(peer)
    subscribe(peer)
    peer.wire.freeze()
    await node.report(600, JSON.stringify("x".repeat(100_000)))
    await waitUntil("it starves", () => stats().starved === 1)
    peer.wire.terminate()
    await waitUntil("the end", () => stats().subscriptions === 0)
    expect(stats().starved).toBe(0)
  })

  it("its session's end is its end: nothing is read for it any more", async () => {
    const peer = await parent()
    const node = await child(peer)
    subscribe(peer)
    subscribe(peer, undefined, "subtree")
    await waitUntil("both", () => events(peer).length === 2)
    expect(stats().subscriptions).toBe(2)
    await peer.wire.close()
    await waitUntil("the end", () => stats().subscriptions === 0)
    const { reads } = log
    const other = await parent()
    const marker = await child(other)
    subscribe(other)
    await node.report()
    await marker.report()
    await waitUntil("the other's event", () => events(other).length === 2)
    expect(counters(peer)).toEqual([1, 1])
    expect(log.reads - reads).toBeLessThan(10)
  })

  it("the database is away: it waits, and goes on without a gap", async () => {
    const peer = await parent()
    const node = await child(peer)
    subscribe(peer)
    await waitUntil("the first", () => events(peer).length === 1)
    log.fault = "away"
    const { reads } = log
    await node.report(5)
    await waitUntil("some tries", () => log.reads > reads + 2)
    expect(peer.errors).toEqual([])
    log.fault = "none"
    await waitUntil("the rest", () => events(peer).length === 6)
    expect(counters(peer)).toEqual(upTo(6))
  })

  it("a defect ends that one, with an answer that says to come again", async () => {
    const peer = await parent()
    const node = await child(peer)
    log.fault = "defect"
    subscribe(peer)
    await waitUntil("the answer", () => peer.errors.length === 1)
    expect(peer.errors[0]).toMatchObject({ code: "unavailable", retryable: true, app_id: peer.appId })
    expect(stats().subscriptions).toBe(0)
    log.fault = "none"
    await node.report()
    subscribe(peer)
    await waitUntil("all", () => events(peer).length === 2)
  })

  it("more than the process takes are refused as retryable; a second one of the same scope is none more", async () => {
    await restart({ subscriptions: 2 })
    const [one, two] = [await parent(), await parent()]
    subscribe(one)
    subscribe(one)
    subscribe(two)
    subscribe(two, undefined, "subtree")
    await waitUntil("the refusal", () => two.errors.length === 1)
    expect(two.errors[0]).toMatchObject({ code: "overloaded", retryable: true, retry_after_ms: 1000 })
    expect(stats().subscriptions).toBe(2)
    await one.wire.close()
    await waitUntil("the end", () => stats().subscriptions === 1)
    subscribe(two, undefined, "subtree")
    await waitUntil("the place", () => stats().subscriptions === 2)
  })

  it("a cursor beyond the log is refused, a used one begins behind it", async () => {
    const peer = await parent()
    const node = await child(peer)
    await node.report(4)
    subscribe(peer, "999")
    await waitUntil("the refusal", () => peer.errors.length === 1)
    expect(peer.errors[0]).toMatchObject({ code: "bad_frame", retryable: false })
    expect(stats().subscriptions).toBe(0)
    subscribe(peer)
    await waitUntil("all", () => events(peer).length === 5)
    subscribe(peer, events(peer)[2]!.cursor)
    await waitUntil("the rest again", () => events(peer).length === 7)
    expect(counters(peer)).toEqual([1, 2, 3, 4, 5, 4, 5])
  })

  it("legacy clients have none", async () => {
    const peer = await Peer.connect(transport, {}, { dialect: "legacy" })
    await peer.register()
    peer.send({ type: "subscribe", app_id: peer.appId, scope: "children" })
    await waitUntil("the refusal", () => peer.errors.length === 1)
    expect(peer.errors[0]).toMatchObject({ code: "bad_frame" })
    expect(stats().subscriptions).toBe(0)
  })
})
