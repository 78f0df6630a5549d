import { Effect, Latch } from "effect"
import {
  encodeReplicaMessage,
  type HintedNode,
  REPLICA_MESSAGE_NODES,
  type ReplicaContent
} from "../protocol/ReplicaMessage.ts"
import { attachSignature, TAGS } from "../protocol/SignedFrame.ts"
import { BROADCAST, LEASE_SUBJECT, leaseAddress, LOG_SUBJECT, nodeAddress, nodesAddress } from "../protocol/Subjects.ts"
import { type ChildSpec, repeating } from "../supervision/ChildSpec.ts"
import type { Hint } from "../supervision/HintTarget.ts"
import { type SecretKey, sign } from "./Ed25519.ts"

/** Messages signed before the loop is let go: 25 µs each. */
const BURST = 32
/** At most one message about the log in so long, milliseconds. */
const LOG_EVERY_MS = 20
/** Nodes that wait to be hinted at; what comes beyond is left to their owners' polls. */
const WAITING = 100_000

export interface ReplicaOutboxEnvironment {
  /** UUID of this boot. */
  readonly boot: string
  readonly secret: SecretKey
  readonly publish: (subject: string, body: string) => void
  /** Epoch milliseconds. */
  readonly wallClock: () => number
  /** Base64 of 16 fresh random bytes. */
  readonly newNonce: () => string
  readonly sent: (kind: ReplicaContent["kind"]) => void
  readonly dropped: () => void
}

export interface ReplicaOutbox {
  readonly hint: (owner: string, what: Hint, node: HintedNode) => void
  /** Rows were committed here. */
  readonly committed: () => void
  /** Asks all others whether the database has this boot as reaped. */
  readonly cutOff: () => void
  /** Tells that boot that the database has it as reaped. */
  readonly reaped: (boot: string) => void
  /** For the supervisor: nothing is sent before they run. */
  readonly children: ReadonlyArray<ChildSpec>
}

/** A signed message, as it goes on the bus. */
export const sealReplicaMessage = (secret: SecretKey, message: Parameters<typeof encodeReplicaMessage>[0]): string => {
  const text = encodeReplicaMessage(message)
  return attachSignature(text, sign(secret, TAGS.replica, text))
}

/**
 * What this replica says to others. Hints that are given in one turn of the loop, as those of a cascade's level are, go
 * together, some dozens of nodes a message; the same hint to the same node once. A single one waits for nothing. About the
 * log everybody is told at once, and then at most every 20 ms: the last commit is always told of.
 */
export const makeReplicaOutbox = (env: ReplicaOutboxEnvironment): ReplicaOutbox => {
  /** By owner and hint. */
  let waiting = new Map<string, { readonly owner: string; readonly what: Hint; nodes: Map<string, HintedNode> }>()
  let count = 0
  const hinted = Latch.makeUnsafe()
  const committed = Latch.makeUnsafe()

  const send = (subject: string, to: string, content: ReplicaContent): void => {
    const { boot: from, newNonce, secret, wallClock } = env
    env.publish(subject, sealReplicaMessage(secret, { from, to, at: wallClock(), nonce: newNonce(), content }))
    env.sent(content.kind)
  }

  const tellNodes = Effect.gen(function* () {
    yield* hinted.await
    // An opened latch goes on in the stack of whoever opens it: what is hinted behind that shall go along.
    yield* Effect.yieldNow
    hinted.closeUnsafe()
    const taken = waiting
    waiting = new Map()
    count = 0
    let burst = 0
    for (const { nodes, owner, what } of taken.values()) {
      const all = [...nodes.values()]
      for (let from = 0; from < all.length; from += REPLICA_MESSAGE_NODES) {
        if (burst++ === BURST) {
          burst = 1
          yield* Effect.yieldNow
        }
        const some = all.slice(from, from + REPLICA_MESSAGE_NODES)
        const subject = some.length === 1 ? nodeAddress(owner, some[0]!.appId) : nodesAddress(owner)
        send(subject, owner, { kind: what, nodes: some })
      }
    }
  })

  const tellLog = Effect.gen(function* () {
    yield* committed.await
    yield* Effect.yieldNow
    committed.closeUnsafe()
    send(LOG_SUBJECT, BROADCAST, { kind: "log" })
    yield* Effect.sleep(LOG_EVERY_MS)
  })

  return {
    hint: (owner, what, node) => {
      if (count >= WAITING) return env.dropped()
      const key = `${what} ${owner}`
      let entry = waiting.get(key)
      if (entry === undefined) waiting.set(key, (entry = { owner, what, nodes: new Map() }))
      if (!entry.nodes.has(node.appId)) count++
      entry.nodes.set(node.appId, node)
      hinted.openUnsafe()
    },
    committed: () => void committed.openUnsafe(),
    cutOff: () => send(LEASE_SUBJECT, BROADCAST, { kind: "cut_off" }),
    reaped: (boot) => send(leaseAddress(boot), boot, { kind: "reaped" }),
    children: [repeating("replicas/hints", tellNodes), repeating("replicas/log", tellLog)]
  }
}
