import { describe, expect, it } from "vitest"
import { type Entry, Outbox, type Report } from "../../src/client/Outbox.ts"
import { seeded } from "../harness/Random.ts"

const report = (kind: Report["kind"] = "Status", size = 10): Report => ({
  kind,
  payload: "null",
  bytes: null,
  reason: null,
  timestamp: 0,
  correlationId: null,
  traceparent: null,
  size
})

const of = (messages: number, bytes = 1e9) => new Outbox({ messages, bytes })

const takeAll = (outbox: Outbox): ReadonlyArray<number> => {
  const seqs: Array<number> = []
  for (let entry = outbox.take(); entry !== undefined; entry = outbox.take()) seqs.push(entry.seq)
  return seqs
}

describe("Outbox", () => {
  it("gives up the oldest waiting Status when it is full of messages, and counts it (O2)", () => {
    const outbox = of(3)
    for (let i = 0; i < 5; i++) expect(outbox.offer(report())).toBe(true)
    expect(outbox).toMatchObject({ size: 3, dropped: 2 })
    expect(takeAll(outbox)).toEqual([3, 4, 5])
  })

  it("gives up as many as the new one needs when it is full of bytes", () => {
    const outbox = of(100, 100)
    for (let i = 0; i < 10; i++) outbox.offer(report())
    outbox.offer(report("Status", 35))
    expect(outbox.dropped).toBe(4)
    expect(takeAll(outbox)).toEqual([5, 6, 7, 8, 9, 10, 11])
  })

  it("never drops a Result, an Error or a farewell, however full it is", () => {
    const outbox = of(2, 20)
    for (const kind of ["Result", "Error", "disconnect", "Result"] as const)
      expect(outbox.offer(report(kind))).toBe(true)
    expect(outbox.offer(report())).toBe(false)
    expect(outbox).toMatchObject({ size: 4, dropped: 1 })
    expect(takeAll(outbox)).toEqual([1, 2, 3, 4])
  })

  it("never drops what is under way", () => {
    const outbox = of(2)
    outbox.offer(report())
    outbox.offer(report())
    takeAll(outbox)
    expect(outbox.offer(report())).toBe(false)
    expect(outbox.settle(1)).toEqual({ frames: 1, bytes: 10 })
    expect(outbox.offer(report())).toBe(true)
    expect(takeAll(outbox)).toEqual([3])
  })

  it("keeps the one that the server waits for: without it every later seq would be refused (PROTOCOL §6)", () => {
    const outbox = of(3)
    for (let i = 0; i < 3; i++) outbox.offer(report())
    takeAll(outbox)
    expect(outbox.rewind(2)).toEqual({ frames: 2, bytes: 20 })
    expect(outbox.offer(report())).toBe(false)
    expect(takeAll(outbox)).toEqual([2, 3])
    // In another session nobody waits for it.
    outbox.rewind()
    expect(outbox.offer(report())).toBe(true)
    expect(takeAll(outbox)).toEqual([2, 3, 4])
  })

  it("sends again in order what was lost, and forgets what turns out to be stored", () => {
    const outbox = of(10)
    for (let i = 0; i < 5; i++) outbox.offer(report())
    for (let i = 0; i < 3; i++) outbox.take()
    expect(outbox.rewind()).toEqual({ frames: 3, bytes: 30 })
    expect(outbox.settle(2)).toEqual({ frames: 0, bytes: 0 })
    expect(outbox).toMatchObject({ size: 3, acked: 2, lastAcked: 2 })
    expect(takeAll(outbox)).toEqual([3, 4, 5])
  })

  it("believes no ack of what it has not sent", () => {
    const outbox = of(10)
    for (let i = 0; i < 5; i++) outbox.offer(report())
    outbox.take()
    outbox.take()
    expect(outbox.settle(1_000_000)).toEqual({ frames: 2, bytes: 20 })
    expect(outbox).toMatchObject({ size: 3, acked: 2, lastAcked: 2 })
  })

  it("refuses only what is under way, and only once", () => {
    const outbox = of(10)
    for (let i = 0; i < 3; i++) outbox.offer(report())
    outbox.take()
    outbox.take()
    expect(outbox.refuse(3)).toBeNull()
    expect(outbox.refuse(1)).toMatchObject({ seq: 1 })
    expect(outbox.refuse(1)).toBeNull()
    expect(outbox).toMatchObject({ size: 2, refused: 1 })
  })

  it("behaves like the naive model in 200 random runs", () => {
    for (let seed = 0; seed < 200; seed++) {
      const random = seeded(seed)
      const bounds = { messages: 1 + random.int(12), bytes: 40 + random.int(200) }
      const outbox = new Outbox(bounds)
      let [waiting, underWay]: [Array<Entry>, Array<Entry>] = [[], []]
      let [seq, sent, dropped, acked, refused, pinned] = [0, 0, 0, 0, 0, 0]
      const bytes = (): number => [...underWay, ...waiting].reduce((sum, { size }) => sum + size, 0)
      const isFull = (size: number): boolean =>
        underWay.length + waiting.length >= bounds.messages || bytes() + size > bounds.bytes
      for (let step = 0; step < 300; step++) {
        const what = random.int(10)
        if (what < 5) {
          const given = report(random.pick(["Status", "Status", "Status", "Result", "disconnect"]), 1 + random.int(30))
          let isTaken = true
          while (given.kind === "Status" && isFull(given.size) && isTaken) {
            isTaken = waiting[0]?.kind === "Status" && waiting[0].seq !== pinned
            if (isTaken) waiting.shift()
            dropped++
          }
          expect(outbox.offer(given)).toBe(isTaken)
          if (isTaken) waiting.push({ ...given, seq: ++seq })
        } else if (what < 8) {
          const entry = waiting.shift()
          expect(outbox.take()?.seq).toBe(entry?.seq)
          if (entry === undefined) continue
          underWay.push(entry)
          sent = Math.max(sent, entry.seq)
          if (entry.seq === pinned) pinned = 0
        } else if (what === 8) {
          const upTo = random.int(seq + 2)
          const isLeft = (entry: Entry): boolean => entry.seq > Math.min(upTo, sent)
          const credited = underWay.filter((entry) => !isLeft(entry))
          acked += credited.length + waiting.filter((entry) => !isLeft(entry)).length
          expect(outbox.settle(upTo).frames).toBe(credited.length)
          underWay = underWay.filter(isLeft)
          waiting = waiting.filter(isLeft)
        } else if (random.int(2) === 0) {
          const from = random.int(3) === 0 ? 0 : random.int(seq + 1)
          const again = underWay.filter((entry) => entry.seq >= from)
          expect(outbox.rewind(from).frames).toBe(again.length)
          waiting = [...again, ...waiting]
          underWay = underWay.filter((entry) => entry.seq < from)
          if (from === 0) pinned = 0
          else if (again[0]?.seq === from) pinned = from
        } else {
          const chosen = random.int(seq + 1)
          const isThere = underWay.some((entry) => entry.seq === chosen)
          expect(outbox.refuse(chosen)?.seq).toBe(isThere ? chosen : undefined)
          if (isThere) refused++
          underWay = underWay.filter((entry) => entry.seq !== chosen)
        }
        expect([outbox.size, outbox.underWay, outbox.peek()?.seq]).toEqual([
          underWay.length + waiting.length,
          underWay.length,
          waiting[0]?.seq
        ])
        expect([outbox.dropped, outbox.acked, outbox.refused]).toEqual([dropped, acked, refused])
      }
    }
  })
})
