import { describe, expect, it } from "vitest"
import { type Entry, Outbox, type OutboxBounds, type Report } from "../../src/client/Outbox.ts"
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

/** The same in the simplest words, by arrays alone. */
class Model {
  waiting: ReadonlyArray<Entry> = []
  underWay: ReadonlyArray<Entry> = []
  dropped = 0
  acked = 0
  refused = 0
  readonly #bounds: OutboxBounds
  #seq = 0
  #sent = 0
  #awaited = 0

  constructor(bounds: OutboxBounds) {
    this.#bounds = bounds
  }

  get seq(): number {
    return this.#seq
  }

  offer(given: Report): boolean {
    while (given.kind === "Status" && this.#isFull(given.size)) {
      const oldest = this.waiting[0]
      this.dropped++
      if (oldest?.kind !== "Status" || oldest.seq === this.#awaited) return false
      this.waiting = this.waiting.slice(1)
    }
    this.waiting = [...this.waiting, { ...given, seq: ++this.#seq }]
    return true
  }

  take(): number | undefined {
    const [entry, ...rest] = this.waiting
    if (entry === undefined) return undefined
    this.waiting = rest
    this.underWay = [...this.underWay, entry]
    this.#sent = Math.max(this.#sent, entry.seq)
    if (entry.seq === this.#awaited) this.#awaited = 0
    return entry.seq
  }

  settle(upTo: number): number {
    const isLeft = (entry: Entry): boolean => entry.seq > Math.min(upTo, this.#sent)
    const credited = this.underWay.filter((entry) => !isLeft(entry)).length
    this.acked += credited + this.waiting.filter((entry) => !isLeft(entry)).length
    this.underWay = this.underWay.filter(isLeft)
    this.waiting = this.waiting.filter(isLeft)
    return credited
  }

  rewind(from: number): number {
    const again = this.underWay.filter((entry) => entry.seq >= from)
    this.waiting = [...again, ...this.waiting]
    this.underWay = this.underWay.filter((entry) => entry.seq < from)
    if (from === 0) this.#awaited = 0
    else if (again[0]?.seq === from) this.#awaited = from
    return again.length
  }

  refuse(seq: number): number | undefined {
    if (!this.underWay.some((entry) => entry.seq === seq)) return undefined
    this.refused++
    this.underWay = this.underWay.filter((entry) => entry.seq !== seq)
    return seq
  }

  #isFull(more: number): boolean {
    const all = [...this.underWay, ...this.waiting]
    const bytes = all.reduce((sum, { size }) => sum + size, 0)
    return all.length >= this.#bounds.messages || bytes + more > this.#bounds.bytes
  }
}

/** The steps of a random run at which the two differ, of which there should be none. */
const compare = (seed: number): ReadonlyArray<string> => {
  const random = seeded(seed)
  const bounds = { messages: 1 + random.int(12), bytes: 40 + random.int(200) }
  const outbox = new Outbox(bounds)
  const model = new Model(bounds)
  const steps: ReadonlyArray<() => readonly [unknown, unknown]> = [
    () => {
      const kind = random.pick(["Status", "Status", "Status", "Result", "disconnect"] as const)
      const given = report(kind, 1 + random.int(30))
      return [outbox.offer(given), model.offer(given)]
    },
    () => [outbox.take()?.seq, model.take()],
    () => {
      const upTo = random.int(model.seq + 2)
      return [outbox.settle(upTo).frames, model.settle(upTo)]
    },
    () => {
      const from = random.int(3) === 0 ? 0 : random.int(model.seq + 1)
      return [outbox.rewind(from).frames, model.rewind(from)]
    },
    () => {
      const seq = random.int(model.seq + 1)
      return [outbox.refuse(seq)?.seq, model.refuse(seq)]
    }
  ]
  const differences: Array<string> = []
  for (let step = 0; step < 300; step++) {
    const which = random.pick([0, 0, 0, 0, 0, 1, 1, 1, 2, 3, 4])
    const [answer, expected] = steps[which]!()
    const { dropped, acked, refused, size, underWay } = outbox
    const seen = [answer, size, underWay, outbox.peek()?.seq, dropped, acked, refused]
    const right = [
      expected,
      model.underWay.length + model.waiting.length,
      model.underWay.length,
      model.waiting[0]?.seq,
      model.dropped,
      model.acked,
      model.refused
    ]
    if (String(seen) !== String(right))
      differences.push(`seed ${seed}, step ${step}: ${String(seen)}, not ${String(right)}`)
  }
  return differences
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
    for (let seed = 0; seed < 200; seed++) expect(compare(seed)).toEqual([])
  })
})
