import { type PublicKey, verify } from "../actors/Ed25519.ts"
import type { Decoded } from "../protocol/Frames.ts"
import type { FrameProblem } from "../protocol/FrameDecoder.ts"
import { splitSigned, TAGS } from "../protocol/SignedFrame.ts"

/**
 * - `none`: `sig: null`, level open
 * - `unchecked`: nobody has looked at it yet
 * - `checking`: on the thread pool
 * - `good`: verifies under `key`
 * - `broken`: does not verify under `key`, or is no signature where one belongs
 */
export type Sealing = "none" | "unchecked" | "checking" | "good" | "broken"

/** A frame between its arrival and its release to an actor. */
export interface Arrival {
  readonly content: Decoded | FrameProblem
  /** As received. */
  readonly text: string
  readonly bytes: number
  sealing: Sealing
  /** The key that it was, or is being, checked under. */
  key: PublicKey | null
  next: Arrival | null
}

/**
 * Frames of one socket in the order of their arrival. Verification completes out of order on the thread pool; only the
 * head is ever released, so what actors see is the order of the socket.
 */
export class Arrivals {
  #head: Arrival | null = null
  #tail: Arrival | null = null

  get head(): Arrival | null {
    return this.#head
  }

  push(content: Decoded | FrameProblem, text: string, bytes: number, sealing: Sealing): Arrival {
    const arrival: Arrival = { content, text, bytes, sealing, key: null, next: null }
    if (this.#tail === null) this.#head = arrival
    else this.#tail.next = arrival
    this.#tail = arrival
    return arrival
  }

  shift(): void {
    this.#head = this.#head?.next ?? null
    if (this.#head === null) this.#tail = null
  }
}

/** Whether a decoded v1 registration carries a signature: anything but null must be one. */
export const sealingOf = (text: string): Sealing =>
  text.endsWith(',"sig":null}') || (splitSigned(text) === null && isNullSeal(text)) ? "none" : "unchecked"

/** The frame is JSON with a `sig` that is null or a string: the decoder has seen to it. */
const isNullSeal = (text: string): boolean => (JSON.parse(text) as { readonly sig: unknown }).sig === null

/** Verifies its text under `key` on the thread pool; the owner's `release` is called later in any case. */
export const check = (arrival: Arrival, key: PublicKey | null, owner: { readonly release: () => void }): void => {
  const signed = splitSigned(arrival.text)
  arrival.sealing = "checking"
  arrival.key = key
  const settle = (valid: boolean) => {
    arrival.sealing = valid ? "good" : "broken"
    owner.release()
  }
  if (signed === null || key === null) return void setImmediate(settle, false)
  verify(key, TAGS.child, signed.message, signed.signature, settle)
}
