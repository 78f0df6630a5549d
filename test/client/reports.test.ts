import { describe, expect, it } from "vitest"
import { seeded } from "../harness/Random.ts"
import { MODES } from "./FakePlatform.ts"
import { LIMITS, Stage } from "./Stage.ts"

describe.each(MODES)("reports, cryptography %s", (mode) => {
  it("go out in order, numbered from 1, the result last; nothing is taken after it (L1)", async () => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.node()
    expect(node.status({ a: 1 }, { correlationId: "c-1" })).toEqual({ queued: true })
    expect(node.result(Uint8Array.of(1))).toEqual({ queued: true })
    expect(node.status(2)).toMatchObject({ queued: false, reason: "ended" })
    expect(node.error("late")).toMatchObject({ queued: false, reason: "ended" })
    const over = node.shutdown()
    await stage.hello()
    await stage.admit(appId)
    expect(stage.socket.of("message")).toMatchObject([
      { header: { seq: 1, msg_type: "Status", correlation_id: "c-1" }, payload: { a: 1 } },
      { header: { seq: 2, msg_type: "Result", correlation_id: null }, bytes: "AQ==" }
    ])
    expect(stage.socket.of("disconnect")).toEqual([])
    await stage.ack(appId, 2)
    expect(await over).toBe(true)
    expect(stage.platform).toMatchObject({ alive: 0, timers: 0 })
  })

  it("`shutdown` without a server is false within its time, and releases the process", async () => {
    const stage = new Stage(mode)
    const { node } = await stage.node()
    node.result(1)
    let stored: boolean | null = null
    void node.shutdown({ timeoutMs: 700 }).then((value) => (stored = value))
    await stage.platform.advance(600)
    expect([stored, stage.platform.alive]).toEqual([null, 1])
    await stage.platform.advance(101)
    expect(stored).toBe(false)
    expect(node.stats()).toMatchObject({ state: "ended", refused: 1, waiting: 0 })
    expect(stage.platform).toMatchObject({ alive: 0 })
  })

  it("one that is refused for now, and all after it, go again in order after the pause", async () => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.attached()
    for (let i = 1; i <= 4; i++) node.status(i)
    await stage.platform.settle()
    await stage.ack(appId, 1)
    for (const seq of [2, 3, 4]) await stage.refuse(appId, { code: "overloaded", seq, retry_after_ms: 500 })
    node.status(5)
    await stage.platform.advance(499)
    expect(stage.socket.seqs).toEqual([1, 2, 3, 4])
    await stage.platform.advance(1)
    expect(stage.socket.seqs).toEqual([1, 2, 3, 4, 2, 3, 4, 5])
    await stage.ack(appId, 5)
    expect(node.stats()).toMatchObject({ acked: 5, waiting: 0, refused: 0 })
  })

  it("do not spin when the server names no pause", async () => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.attached()
    node.status(1)
    await stage.platform.settle()
    await stage.refuse(appId, { code: "overloaded", seq: 1, retryable: true })
    await stage.platform.advance(999)
    expect(stage.socket.seqs).toEqual([1])
    await stage.platform.advance(1)
    expect(stage.socket.seqs).toEqual([1, 1])
  })

  it("one that is refused for good is counted and told, the others go on; of a Result an Error says so", async () => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.attached()
    node.status(1)
    node.status(2)
    node.result(3)
    await stage.platform.settle()
    await stage.refuse(appId, { code: "bad_frame", seq: 1 })
    await stage.refuse(appId, { code: "bad_frame", seq: 3 })
    expect(stage.socket.of("message").at(-1)).toMatchObject({
      header: { msg_type: "Error", seq: 4 },
      payload: { message: expect.stringContaining("could not be sent") }
    })
    await stage.ack(appId, 4)
    expect(node.stats()).toMatchObject({ acked: 2, refused: 2, waiting: 0 })
    expect(stage.platform.warnings).toHaveLength(2)
  })

  it("over the limit are told to the caller at once; in place of a Result an Error goes", async () => {
    const stage = new Stage(mode)
    const { node } = await stage.attached({}, { limits: { ...LIMITS, max_frame: 4096 } })
    const large = "x".repeat(5000)
    expect(node.status(large)).toMatchObject({ queued: false, reason: "too_large" })
    expect(node.result(large)).toMatchObject({ queued: false, reason: "too_large" })
    await stage.platform.settle()
    expect(stage.socket.of("message")).toMatchObject([
      { header: { msg_type: "Error" }, payload: { message: expect.stringContaining("4096") } }
    ])
  })

  it("over the limit of a server that grants less than was assumed: the Result's Error, the Status counted", async () => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.node()
    const large = "x".repeat(5000)
    expect(node.status(large).queued).toBe(true)
    expect(node.status("small").queued).toBe(true)
    expect(node.result(large).queued).toBe(true)
    await stage.hello()
    await stage.admit(appId, { limits: { ...LIMITS, max_frame: 4096 } })
    expect(stage.socket.of("message")).toMatchObject([
      { header: { msg_type: "Status", seq: 2 } },
      { header: { msg_type: "Error", seq: 4 } }
    ])
    expect(node.stats()).toMatchObject({ refused: 2 })
    expect(stage.platform.warnings).toHaveLength(2)
  })

  it("an Error whose detail can't be written goes without it", async () => {
    const stage = new Stage(mode)
    const { node } = await stage.attached()
    expect(node.error("broken", { big: 1n })).toEqual({ queued: true })
    await stage.platform.settle()
    expect(stage.socket.of("message")).toMatchObject([
      { payload: { message: "broken", detail: { problem: expect.stringContaining("BigInt") } } }
    ])
  })

  it("an exception that ends the process is the Error, in the turn in which it is told", async () => {
    const stage = new Stage("sync")
    await stage.attached()
    stage.platform.watcher?.failed(new RangeError("off"))
    stage.platform.watcher?.ending(1)
    expect(stage.socket.frames.slice(1)).toMatchObject([
      { type: "message", header: { msg_type: "Error" }, payload: { message: "off", detail: { name: "RangeError" } } }
    ])
  })
})

describe("status", () => {
  it("never throws and always answers, whatever it is given", async () => {
    const stage = new Stage()
    const { node } = await stage.node({ buffer: { messages: 50 } })
    const random = seeded(11)
    const fail = () => {
      throw random.pick([
        new Error("e"),
        null,
        undefined,
        "s",
        {
          get message() {
            throw 1
          }
        },
        revoked()
      ])
    }
    const revoked = (): unknown => {
      const { proxy, revoke } = Proxy.revocable({}, {})
      revoke()
      return proxy
    }
    const leaf = (): unknown =>
      random.pick<() => unknown>([
        () => undefined,
        () => null,
        () => random.next() * 1e300,
        () => Number.NaN,
        () => 10n,
        () => Symbol("s"),
        () => fail,
        () => "\ud800\0\u2028".repeat(random.int(50)),
        () => new Date(Number.NaN),
        () => new Map([[1, 2]]),
        () => random.bytes(random.int(40)),
        () => new Uint8Array(0),
        () => ({ toJSON: fail }),
        () => Object.defineProperty({}, "x", { get: fail, enumerable: true }),
        () => new Proxy({}, { ownKeys: fail, getPrototypeOf: fail, get: fail }),
        revoked,
        () => Object.create(null) as unknown,
        () => new Error("e", { cause: fail })
      ])()
    const value = (depth: number): unknown => {
      const kind = random.int(4)
      if (depth === 0 || kind < 2) return leaf()
      const parts = Array.from({ length: random.int(4) }, () => value(depth - 1))
      if (kind === 2) return parts
      const made: Record<string, unknown> = Object.fromEntries(parts.map((part, index) => [`k${index}`, part]))
      if (random.int(5) === 0) made["self"] = made
      return made
    }
    for (let round = 0; round < 3000; round++) {
      const queued = node.status(value(random.int(5)), value(2) as never)
      expect(["queued", "not_json", "too_large", "full"]).toContain(queued.queued ? "queued" : queued.reason)
    }
    expect(node.status(1, null as never)).toEqual({ queued: true })
    expect(node.error(revoked(), revoked(), revoked() as never).queued).toBe(true)
  })
})
