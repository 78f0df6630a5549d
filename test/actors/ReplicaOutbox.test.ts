import { randomBytes, randomUUID } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { importSeed } from "../../src/actors/Ed25519.ts"
import { makeReplicaOutbox } from "../../src/actors/ReplicaOutbox.ts"
import { decodeReplicaMessage, REPLICA_MESSAGE_BYTES } from "../../src/protocol/ReplicaMessage.ts"
import { splitSigned } from "../../src/protocol/SignedFrame.ts"
import { nodeAddress, nodesAddress } from "../../src/protocol/Subjects.ts"
import { waitUntil } from "../harness/waitUntil.ts"

const OWNER = randomUUID()
const node = (epoch: number | null = null) => ({ appId: randomUUID(), epoch })

/** An outbox that runs, what it has published, and how many hints it has dropped. */
const running = Effect.gen(function* () {
  const published: Array<{ readonly subject: string; readonly body: string }> = []
  let dropped = 0
  const outbox = makeReplicaOutbox({
    boot: randomUUID(),
    secret: importSeed(randomBytes(32)),
    publish: (subject, body) => void published.push({ subject, body }),
    wallClock: () => 1_790_000_000_000,
    newNonce: () => randomBytes(16).toString("base64"),
    sent: () => {},
    dropped: () => void dropped++
  })
  yield* Effect.forEach(outbox.children, ({ start }) => Effect.forkChild(start), { discard: true })
  yield* Effect.yieldNow
  const contents = () =>
    published.map(({ body }) => {
      const message = decodeReplicaMessage(splitSigned(body)!.message)
      if (typeof message === "string" || message.content === null) throw new Error(body)
      return message.content
    })
  return { contents, dropped: () => dropped, outbox, published }
})

describe("what a replica says to others", () => {
  it.effect("nothing in the stack of who hints, and one message per kind and owner for all that is hinted in it", () =>
    Effect.gen(function* () {
      const { contents, outbox, published } = yield* running
      const [one, two, three] = [node(1), node(2), node(3)]
      const other = randomUUID()
      for (const some of [one, two, one]) outbox.hint(OWNER, "commanded", some)
      outbox.hint(OWNER, "moved", two)
      outbox.hint(other, "moved", three)
      assert.deepStrictEqual(published, [])
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(
        published.map(({ subject }) => subject),
        [nodesAddress(OWNER), nodeAddress(OWNER, two.appId), nodeAddress(other, three.appId)]
      )
      assert.deepStrictEqual(contents(), [
        { kind: "commanded", nodes: [one, two] },
        { kind: "moved", nodes: [two] },
        { kind: "moved", nodes: [three] }
      ])
    })
  )

  it.live("10,000 nodes are 200 messages, and the loop turns between each few dozen of them", () =>
    Effect.gen(function* () {
      const { contents, outbox, published } = yield* running
      let turns = 0
      let most = 0
      let before = 0
      const look = (): void => {
        turns++
        most = Math.max(most, published.length - before)
        before = published.length
        if (published.length < 200) setImmediate(look)
      }
      for (let i = 0; i < 10_000; i++) outbox.hint(OWNER, "commanded", node(i))
      look()
      yield* Effect.promise(() => waitUntil("all are sent", () => published.length === 200))
      assert.isAtMost(most, 64)
      assert.isAtLeast(turns, 4)
      assert.isTrue(published.every(({ body }) => body.length <= REPLICA_MESSAGE_BYTES))
      const named = contents().flatMap((content) => ("nodes" in content ? content.nodes : []))
      assert.strictEqual(new Set(named.map(({ appId }) => appId)).size, 10_000)
    })
  )

  it.live("more than 100,000 nodes that wait are left to their owners", () =>
    Effect.gen(function* () {
      const { dropped, outbox } = yield* running
      for (let i = 0; i < 100_000; i++) outbox.hint(OWNER, "commanded", { appId: `${i}`, epoch: null })
      assert.strictEqual(dropped(), 0)
      outbox.hint(OWNER, "commanded", node())
      outbox.hint(OWNER, "moved", node())
      assert.strictEqual(dropped(), 2)
    })
  )

  it.effect("that it has committed: at once, then at most every 20 ms, and of the last commit always", () =>
    Effect.gen(function* () {
      const { outbox, published } = yield* running
      outbox.committed()
      yield* TestClock.adjust(0)
      assert.strictEqual(published.length, 1)
      for (let ms = 0; ms < 100; ms++) {
        outbox.committed()
        outbox.committed()
        yield* TestClock.adjust(1)
      }
      assert.isAtLeast(published.length, 5)
      assert.isAtMost(published.length, 6)
      yield* TestClock.adjust("1 second")
      const settled = published.length
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(published.length, settled)
      outbox.committed()
      yield* TestClock.adjust(0)
      outbox.committed()
      yield* TestClock.adjust(20)
      assert.strictEqual(published.length, settled + 2)
    })
  )
})
