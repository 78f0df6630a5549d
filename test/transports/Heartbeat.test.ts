import { describe, expect, it } from "vitest"
import { Heartbeat } from "../../src/transports/Heartbeat.ts"

const INTERVAL = 30_000
const SWEEP = 1000

/** Sweeps as the server does, and notes at which second it pinged, or found the socket dead. */
class Pulse {
  readonly pings: Array<number> = []
  deadAt: number | null = null
  #now = 0
  readonly #socket = { bytesRead: 0, ping: () => void this.pings.push(this.#now / 1000) }
  readonly #heartbeat = new Heartbeat(this.#socket)

  constructor() {
    this.#heartbeat.add(INTERVAL, this.#now)
  }

  /** Another node of the socket wants to be pinged so often. */
  joined(intervalMs: number): this {
    this.#heartbeat.add(intervalMs, this.#now)
    return this
  }

  says(): this {
    this.#socket.bytesRead += 100
    return this
  }

  /** `excused`: the server does not read meanwhile. */
  passes(seconds: number, excused = false): this {
    for (const end = this.#now + seconds * 1000; this.#now < end && this.deadAt === null;) {
      this.#now += SWEEP
      if (this.#heartbeat.isDead(this.#now, excused)) this.deadAt = this.#now / 1000
    }
    return this
  }
}

describe("a socket is pinged once an interval, since its peer leaves a server that it does not hear", () => {
  it("whatever the peer says meanwhile: an answer to a command is not answered", () => {
    const pulse = new Pulse()
    for (let second = 0; second < 95; second += 19) pulse.says().passes(19)
    expect(pulse.pings).toEqual([30, 60, 90])
    expect(pulse.deadAt).toBeNull()
  })

  it("also while the server does not read it, or has stood still: its silence is no verdict then", () => {
    const pulse = new Pulse().passes(100, true)
    expect(pulse.pings).toEqual([30, 60, 90])
    expect(pulse.deadAt).toBeNull()
    expect(pulse.passes(100).deadAt).toBe(160)
  })

  it("and is dead after two intervals of silence, however late the last word came before a ping", () => {
    for (const second of [0, 1, 15, 29, 30, 45]) {
      const pulse = new Pulse().passes(second).says().passes(200)
      // Heard by the sweep that follows.
      expect(pulse.deadAt).toBe(second + 1 + 60)
      expect(pulse.pings.filter((at) => at > second)).not.toEqual([])
    }
  })
  it("and not before a ping has gone unanswered for an interval, however short that has become", () => {
    const pulse = new Pulse().passes(25).joined(1000).passes(200)
    expect(pulse.pings).toEqual([26])
    expect(pulse.deadAt).toBe(27)
    expect(new Pulse().joined(100).passes(200)).toMatchObject({ pings: [1], deadAt: 2 })
  })
})
