import { type Envelope, encodeInfo } from "../protocol/Envelope.ts"
import { formatKey, formatSignature, parseUsableKey } from "../protocol/Keys.ts"
import { attachNull, attachSignature, TAGS, type Tag } from "../protocol/SignedFrame.ts"
import { startDay } from "../protocol/StartDay.ts"
import { encodeUtf8 } from "../protocol/Utf8.ts"
import type { Sign, Verify } from "./Cryptography.ts"
import { chain, type MaybePromise } from "./MaybePromise.ts"
import type { Platform } from "./Platform.ts"

/** Where a node's server is, and under which key it is known. */
export interface Target {
  readonly url: string
  /** `ed25519:<base64>`; null only in level `open`. */
  readonly serverKey: string | null
  /** Verifies the server's frames; null in level `open`, where nothing is verified. */
  readonly verify: Verify | null
}

/** Who a node is: its envelope, and a key that never leaves this object. */
export class Identity {
  readonly envelope: Envelope
  /** The envelope's base64, as it goes into `register`. */
  readonly info: string
  readonly target: Target
  readonly publicKey: string
  readonly startDay: number
  readonly #sign: Sign

  private constructor(envelope: Envelope, publicKey: string, sign: Sign, target: Target) {
    this.envelope = envelope
    this.info = encodeInfo(envelope.json)
    this.publicKey = publicKey
    this.target = target
    this.startDay = startDay(envelope.scheduledAt)
    this.#sign = sign
  }

  /** `seed`: 32 bytes, for envelopes that name the key (`childKey`); absent: a fresh one. */
  static async make(platform: Platform, envelope: Envelope, seed?: Uint8Array): Promise<Identity> {
    const { cryptography } = platform
    const secret = seed === undefined ? cryptography.random(32) : Uint8Array.from(seed)
    const publicKey = formatKey(await cryptography.publicKey(secret))
    const sign = cryptography.signer(secret)
    const signed = envelope.secLevel !== "open"
    const key = signed ? parseUsableKey(envelope.serverPubKey ?? "") : null
    return new Identity(envelope, publicKey, sign, {
      url: envelope.serverEp,
      serverKey: envelope.serverPubKey,
      verify: key === null ? null : cryptography.verifier(key)
    })
  }

  get appId(): string {
    return this.envelope.appId
  }

  get isSigned(): boolean {
    return this.envelope.secLevel !== "open"
  }

  /** The frame of M as it goes over the wire (PROTOCOL §3). */
  seal(message: string): MaybePromise<string> {
    if (!this.isSigned) return attachNull(message)
    return chain(this.signature(TAGS.child, message), (signature) => attachSignature(message, signature))
  }

  signature(tag: Tag, message: string): MaybePromise<string> {
    return chain(this.#sign(encodeUtf8(tag + message)), formatSignature)
  }
}
