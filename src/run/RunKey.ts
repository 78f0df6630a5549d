import { generateKeyPairSync, type KeyObject, randomUUID, sign } from "node:crypto"
import { nodeCryptography } from "../client/NodeCryptography.ts"
import { childTraceparent } from "../client/TraceContext.ts"
import { encodeEnvelope, encodeInfo } from "../protocol/Envelope.ts"
import type { Level } from "../protocol/Frames.ts"
import { formatKey, formatSignature } from "../protocol/Keys.ts"
import { attachMember, TAGS } from "../protocol/SignedFrame.ts"
import { encodeUtf8 } from "../protocol/Utf8.ts"

/** Where the tree of a run lives, as far as the run knows. */
export interface Home {
  /** WebSocket endpoint. */
  readonly serverEp: string
  readonly serverPubKey: string | null
  readonly secLevel: Level
  readonly traceparent: string | null
  readonly tracestate: string | null
}

export interface ChildFacts {
  readonly appId?: string
  readonly name: string
  readonly childKey?: string
  readonly tags?: Readonly<Record<string, string>> | null
  readonly traceparent?: string | null
}

/** The key of a run: it lives in the memory of its process, and in the pipe to a reporter that goes on for it. */
export class RunKey {
  readonly seed: Buffer
  /** `ed25519:<base64>` */
  readonly publicKey: string
  readonly #key: KeyObject

  constructor() {
    // The command waits for it: in this way it takes 1 ms, by the DER of a seed 4.
    this.#key = generateKeyPairSync("ed25519").privateKey
    const { d, x } = this.#key.export({ format: "jwk" })
    this.seed = Buffer.from(d!, "base64url")
    this.publicKey = formatKey(Buffer.from(x!, "base64url"))
  }

  /**
   * The birth certificate of a child, signed and not declared (PROTOCOL §5): nothing appears until somebody registers with
   * it. It has no deadline, because a server that was away for long must not make it worthless.
   */
  certify(parentId: string, home: Home, child: ChildFacts): string {
    const trace = home.traceparent === null ? null : childTraceparent(home.traceparent, nodeCryptography.random)
    const json = encodeEnvelope({
      appId: child.appId ?? randomUUID(),
      parentId,
      appName: child.name,
      serverEp: home.serverEp,
      serverPubKey: home.serverPubKey,
      secLevel: home.secLevel,
      scheduledAt: Date.now(),
      startDeadline: 0,
      tags: child.tags ?? null,
      childKey: child.childKey ?? null,
      traceparent: child.traceparent ?? trace,
      tracestate: home.tracestate
    })
    return encodeInfo(
      attachMember(json, "ticket", formatSignature(sign(null, encodeUtf8(TAGS.ticket + json), this.#key)))
    )
  }
}
