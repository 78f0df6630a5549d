import { setTimeout } from "node:timers/promises"
import { afterAll, beforeAll, expect, it } from "vitest"
import type { Level } from "../../src/protocol/Frames.ts"
import { seeded } from "../harness/Random.ts"
import type { RawNode } from "../harness/RawNode.ts"
import { readMetrics } from "../harness/Metrics.ts"
import { ServerMemory } from "../harness/ServerMemory.ts"
import { attach, dial, rootOf } from "../harness/TestNode.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import type { Wire } from "../harness/Wire.ts"
import { type Malformed, malformed, SIGNATURE_KIND } from "./MalformedFrames.ts"

const TOTAL = 5000
const ATTACKERS = 8
/** Wrong answers after which it is clear enough. */
const MOST_WRONG = 10
const CODES = new Set([
  "bad_frame",
  "too_large",
  "bad_signature",
  "not_registered",
  "registration_failed",
  "key_mismatch",
  "ticket_invalid",
  "deadline_passed",
  "parent_sealed",
  "level_too_weak",
  "seq_conflict",
  "superseded",
  "terminal",
  "replaced",
  "going_away",
  "overloaded",
  "unavailable"
])
/** Not JSON (1007), binary (1003), too large (1009). */
const FATAL = new Set([1003, 1007, 1009])
/** A peer that goes on with garbage is shut out after a bounded number of refusals. */
const SHUT_OUT = 1008

let server: Trailsd
const database = await freshDatabase()
const memory = new ServerMemory()

beforeAll(async () => {
  server = await Trailsd.start({ databaseUrl: database.url, nodeFlags: memory.nodeFlags, env: memory.env })
})
afterAll(async () => {
  await server.dispose()
  memory.dispose()
  await database.drop()
})

/** One hostile peer with a registered node of its own, so that it gets past the first checks. */
class Attacker {
  readonly #level: Level
  #wire: Wire | null = null
  #node: RawNode | null = null

  constructor(level: Level) {
    this.#level = level
  }

  async connect(): Promise<{ readonly wire: Wire; readonly node: RawNode }> {
    if (this.#wire === null || this.#node === null || !this.#wire.isOpen) {
      this.#node = rootOf(server, { appName: "hostile", level: this.#level })
      this.#wire = await attach(server, this.#node)
      this.#wire.listen(this.#node.appId, null)
    }
    return { wire: this.#wire, node: this.#node }
  }

  /** What the server made of it: `error <code>`, `close <code>` or the type of another frame. */
  async send(make: (node: RawNode) => Malformed): Promise<{ readonly sent: Malformed; readonly answer: string }> {
    const { wire, node } = await this.connect()
    const sent = make(node)
    wire.unclaimed.length = 0
    const closed = Promise.race([
      wire.closed.then(({ code }) => `close ${code}`),
      setTimeout(5000, "no close", { ref: false })
    ])
    wire.socket.send(sent.data, { binary: sent.binary ?? false })
    if (sent.closes) return { sent, answer: await closed }
    const answer = wire
      .receive(`an answer to a frame of the kind «${sent.kind}»`, (frame) => frame.type !== "hello")
      .then(
        ({ frame }) => (frame.type === "error" ? `error ${frame.code}` : frame.type),
        (error: Error) => (wire.isOpen ? error.message : closed)
      )
    return { sent, answer: await answer }
  }
}

const isRefusal = ({ closes, kind }: Malformed, answer: string): boolean => {
  const [what, code = ""] = answer.split(" ")
  if (answer === `close ${SHUT_OUT}`) return true
  if (closes) return what === "close" && FATAL.has(Number(code))
  // `sig` protects nobody in `open`, and is not looked at there (PROTOCOL §3).
  return (what === "error" && CODES.has(code)) || (kind === SIGNATURE_KIND && answer === "ack")
}

it.concurrent("answers 5,000 malformed frames with typed refusals, undisturbed and in bounded memory", async () => {
  const bystanders = await Promise.all(
    ["open", "open", "signed"].map(async (level) => {
      const node = rootOf(server, { appName: "bystander", level: level as "open" | "signed" })
      return { node, wire: await attach(server, node) }
    })
  )
  const random = seeded(5000)
  const attackers = Array.from({ length: ATTACKERS }, (_, index) => new Attacker(index % 2 === 0 ? "open" : "signed"))
  const rss: Array<number> = []
  const wrong = new Map<string, string>()
  const seen = new Set<string>()
  let next = 0
  const attack = async (attacker: Attacker): Promise<void> => {
    while (next < TOTAL && wrong.size < MOST_WRONG) {
      const index = next++
      const { answer, sent } = await attacker.send((node) => malformed(index, random, node))
      seen.add(sent.kind)
      if (!isRefusal(sent, answer)) wrong.set(`${index} ${sent.kind} → ${answer}`, String(sent.data).slice(0, 300))
      if ((index + 1) % 1000 === 0) rss.push((await memory.measure(server)).rss >> 10)
      if (index % 50 === 0) for (const { node } of bystanders) node.status({ index })
    }
  }
  await Promise.all(attackers.map(attack))
  await waitUntil("the bystanders are acked", () => bystanders.every(({ node }) => node.inFlight === 0))
  expect(Object.fromEntries(wrong)).toEqual({})
  expect(seen.size).toBeGreaterThan(20)
  for (const { node, wire } of bystanders) {
    expect(wire.isOpen).toBe(true)
    expect(node.errors).toEqual([])
    expect(node.entries.length).toBe(100)
  }
  console.log(`RSS after each 1,000 malformed frames and a collection, KiB: ${rss.join(" ")}`)
  expect(rss.at(-1)! / rss[0]!).toBeLessThanOrEqual(1.1)
  expect((await readMetrics(server.http)).size).toBeGreaterThan(0)
  expect(server.isRunning).toBe(true)
})

// Ten seconds of waiting, while the one before goes on.
it.concurrent("closes a socket that does not register within 10 s (P16)", async () => {
  const wire = await dial(server)
  const started = performance.now()
  await wire.closed
  expect(performance.now() - started).toBeLessThan(11_500)
})

it("keeps a socket with healthy nodes open although one of its frames is malformed", async () => {
  const healthy = rootOf(server)
  const wire = await attach(server, healthy)
  const other = rootOf(server)
  await other.register(wire)
  const random = seeded(1)
  for (let index = 0; index < 20; index++) {
    const bad = malformed(index, random, other)
    if (!bad.closes) wire.socket.send(bad.data, { binary: bad.binary ?? false })
  }
  const seq = healthy.status({ still: "here" })
  await waitUntil("the healthy node is acked", () => healthy.isAcked(seq))
  expect(wire.isOpen).toBe(true)
  await wire.close()
})
