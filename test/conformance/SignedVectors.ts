import { clientFrames, DISCONNECT, MESSAGE } from "./FrameExamples.ts"
import { Seeded } from "./Seeded.ts"
import { keyText, sealed, signature, type TagName } from "./Signer.ts"

export interface SignedFrameVector {
  readonly name: string
  readonly tag: TagName
  /** Hexadecimal seed of the secret key, so that a sender can be checked too. Test keys, of no other use. */
  readonly seed: string
  /** The key that the receiver verifies under. */
  readonly key: string
  /** M: what the sender serialised. */
  readonly message: string
  readonly frame: string
  readonly valid: boolean
}

const random = new Seeded("signed frames")
const seed = random.bytes(32)
const other = random.bytes(32)
const message = JSON.stringify({ ...MESSAGE, payload: { phase: "läuft", progress: 0.5 } })
const frame = sealed(seed, "trails.v1.child", message)

const valid = (name: string, tag: TagName, text: string): SignedFrameVector => ({
  name,
  tag,
  seed: seed.toString("hex"),
  key: keyText(seed),
  message: text,
  frame: sealed(seed, tag, text),
  valid: true
})

const invalid = (
  name: string,
  text: string,
  tag: TagName = "trails.v1.child",
  key = keyText(seed)
): SignedFrameVector => ({
  name,
  tag,
  seed: seed.toString("hex"),
  key,
  message,
  frame: text,
  valid: false
})

const withSignature = (text: string): string => `${message.slice(0, -1)},"sig":${text}}`
const good = signature(seed, "trails.v1.child", message)
const lastDigit = good.slice(0, -3)

export const signedFrameVectors = (): { readonly frames: ReadonlyArray<SignedFrameVector> } => ({
  frames: [
    ...clientFrames()
      .filter((vector) => vector.dialect === "v1" && vector.text.endsWith(',"sig":null}'))
      .map((vector) => valid(vector.name, "trails.v1.child", vector.text.replace(/,"sig":null}$/, "}"))),
    valid(
      "server's ack",
      "trails.v1.server",
      JSON.stringify({ type: "ack", app_id: DISCONNECT.app_id, incarnation: 1, seq: 9 })
    ),
    valid("between replicas", "trails.v1.replica", '{"type":"wake"}'),
    invalid("sent in the other direction", frame, "trails.v1.server"),
    invalid("another key", frame, "trails.v1.child", keyText(other)),
    invalid("not signed", `${message.slice(0, -1)},"sig":null}`),
    invalid("no sig", message),
    invalid("signed without the tag", withSignature(JSON.stringify(signature(seed, "" as TagName, message)))),
    invalid("sig is not the last member", `{"sig":"${good}",${message.slice(1)}`),
    invalid("space before sig", `${message.slice(0, -1)}, "sig":"${good}"}`),
    invalid("space after the colon", `${message.slice(0, -1)},"sig": "${good}"}`),
    invalid("space before the last brace", `${message.slice(0, -1)},"sig":"${good}" }`),
    invalid("line feed at the end", `${frame}\n`),
    invalid("sig without prefix", withSignature(`"${good.slice(8)}"`)),
    invalid("sig without padding", withSignature(`"${good.replace(/=+$/, "")}"`)),
    invalid(
      "sig with unused bits",
      withSignature(`"${lastDigit}${String.fromCharCode(lastDigit.charCodeAt(0) + 1)}=="`)
    ),
    invalid(
      "sig in another alphabet",
      withSignature(`"${good.replaceAll("+", "-").replaceAll("/", "_")}"`.replace("ed25519:", "ed25519:-"))
    ),
    invalid("another member inserted", frame.replace('{"type"', '{"x":1,"type"')),
    invalid("moved to another incarnation", frame.replace('"incarnation":1', '"incarnation":2')),
    invalid("white space inserted", frame.replace(":", ": ")),
    invalid("escaped otherwise", frame.replace("ä", "\\u00e4")),
    invalid("suffix only", `,"sig":"${good}"}`),
    invalid("empty", "")
  ]
})
