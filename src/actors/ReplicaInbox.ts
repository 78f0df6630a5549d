import { fits } from "../protocol/FieldReader.ts"
import {
  decodeReplicaMessage,
  REPLICA_MESSAGE_BYTES,
  type ReplicaContent,
  type ReplicaMessage
} from "../protocol/ReplicaMessage.ts"
import { splitSigned, TAGS } from "../protocol/SignedFrame.ts"
import { BROADCAST, parseReplicaSubject, type ReplicaAddress } from "../protocol/Subjects.ts"
import type { ReplicaRefusal } from "../Telemetry.ts"
import { type PublicKey, verifySync } from "./Ed25519.ts"

export interface ReplicaInboxLimits {
  /** How far a message's time may be from this replica's, both ways, milliseconds: clocks of replicas differ. */
  readonly windowMs: number
  /** Accepted messages that are remembered; twice the window is how long. */
  readonly remembered: number
  /** Signatures that are verified, per second, and how many of them at once. One costs about 70 µs of the event loop. */
  readonly verifiedPerSecond: number
  readonly verifiedAtOnce: number
}

/** Longer than that: a wall clock that is being corrected runs at another speed than the monotonic one. */
const SLACK_MS = 1000

/** 14 % of a processor at most for signatures, in blocks of 14 ms; 8 MB of memory at most. */
export const REPLICA_INBOX_LIMITS: ReplicaInboxLimits = {
  windowMs: 30_000,
  remembered: 65_536,
  verifiedPerSecond: 2000,
  verifiedAtOnce: 200
}

export interface ReplicaInboxEnvironment {
  /** UUID of this boot. */
  readonly boot: string
  /** Of all replicas of the deployment. */
  readonly serverKey: PublicKey
  /** Epoch milliseconds. */
  readonly wallClock: () => number
  /** Milliseconds that never go back. */
  readonly monotonic: () => number
  /** Whether anybody here waits for what other replicas commit. */
  readonly awaitsLog: () => boolean
  readonly accepted: (kind: ReplicaContent["kind"]) => void
  readonly refused: (reason: ReplicaRefusal) => void
}

/**
 * Decides which messages between replicas are heard (docs/protocol.md §17). Whatever it refuses costs time only: the rows are
 * the fact. Invariants:
 * - I1 nothing of a message is read before its signature holds, and nothing of it is done unless all checks pass.
 * - I2 an accepted message is not accepted again: its signature is remembered as long as its time can be within the window,
 *   and when there is no room to remember it, it is refused. (Ed25519 as OpenSSL verifies it is not malleable: without the
 *   key there is no second signature of a message.) So doubles cost a look-up and no verification.
 * - I3 each message is counted once, as accepted or by the reason of its refusal.
 * - I4 verifications are bounded per second, whatever arrives; cheaper checks come first.
 */
export class ReplicaInbox {
  readonly #env: ReplicaInboxEnvironment
  readonly #limits: ReplicaInboxLimits
  /** Signatures, with the monotonic time at which they are forgotten: ascending. */
  readonly #seen = new Map<string, number>()
  #allowance: number
  #allowedAt: number

  constructor(env: ReplicaInboxEnvironment, limits: ReplicaInboxLimits = REPLICA_INBOX_LIMITS) {
    this.#env = env
    this.#limits = limits
    this.#allowance = limits.verifiedAtOnce
    this.#allowedAt = env.monotonic()
  }

  /** The message; null: it is refused. */
  open(subject: string, body: string): ReplicaMessage | null {
    const message = this.#judge(subject, body)
    if (typeof message === "string") {
      this.#env.refused(message)
      return null
    }
    this.#env.accepted(message.content.kind)
    return message
  }

  #judge(subject: string, body: string): ReplicaMessage | ReplicaRefusal {
    const address = parseReplicaSubject(subject)
    if (address === null || (address.to !== this.#env.boot && address.to !== BROADCAST)) return "target"
    if (address.about === "log" && !this.#env.awaitsLog()) return "unheeded"
    if (!fits(body, REPLICA_MESSAGE_BYTES)) return "too_large"
    const signed = splitSigned(body)
    if (signed === null) return "malformed"
    // Bytes of its own: a slice of the body would keep all of it in memory.
    const identity = Buffer.from(signed.signature).toString("latin1")
    const now = this.#env.monotonic()
    this.#forget(now)
    // I2
    if (this.#seen.has(identity)) return "replayed"
    // I4
    if (!this.#mayVerify(now)) return "rate"
    if (!verifySync(this.#env.serverKey, TAGS.replica, signed.message, signed.signature)) return "bad_signature"
    const message = this.#read(address, signed.message)
    if (typeof message === "string") return message
    if (this.#seen.size >= this.#limits.remembered) return "overflow"
    this.#seen.set(identity, now + 2 * this.#limits.windowMs + SLACK_MS)
    return message
  }

  /** Of a message whose signature holds. */
  #read(address: ReplicaAddress, text: string): ReplicaMessage | ReplicaRefusal {
    const message = decodeReplicaMessage(text)
    if (typeof message === "string") return message
    const { at, content, from, to } = message
    if (from === this.#env.boot) return "own"
    if (to !== address.to) return "target"
    if (Math.abs(this.#env.wallClock() - at) > this.#limits.windowMs) return "stale"
    if (content === null) return "unknown_kind"
    return belongs(content, address) ? { ...message, content } : "target"
  }

  #forget(now: number): void {
    for (const [identity, until] of this.#seen) {
      if (until > now) return
      this.#seen.delete(identity)
    }
  }

  #mayVerify(now: number): boolean {
    const { verifiedAtOnce, verifiedPerSecond } = this.#limits
    const earned = ((now - this.#allowedAt) * verifiedPerSecond) / 1000
    this.#allowance = Math.min(verifiedAtOnce, this.#allowance + earned)
    this.#allowedAt = now
    if (this.#allowance < 1) return false
    this.#allowance--
    return true
  }
}

/** Whether the message was sent to this subject: one that was moved to another is none of its. */
const belongs = (content: ReplicaContent, { about, appId, to }: ReplicaAddress): boolean => {
  switch (content.kind) {
    case "log":
      return about === "log"
    case "cut_off":
      return about === "lease" && to === BROADCAST
    case "reaped":
      return about === "lease" && to !== BROADCAST
    case "moved":
    case "commanded":
      return content.nodes.length === 1 ? about === "node" && content.nodes[0]?.appId === appId : about === "nodes"
  }
}
