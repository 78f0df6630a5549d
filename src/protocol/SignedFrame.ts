import { parseSignature } from "./Keys.ts"

/**
 * What a signature is over: `tag || M` (PROTOCOL §3). A tag keeps the signature of one kind from passing as another.
 */
export const TAGS = {
  /** child → server */
  child: "trails.v1.child\n",
  /** server → child */
  server: "trails.v1.server\n",
  ticket: "trails.v1.ticket\n",
  /** between replicas */
  replica: "trails.v1.replica\n"
} as const

export type Tag = (typeof TAGS)[keyof typeof TAGS]

/** A signed text taken apart. */
export interface Signed {
  /** M, the text that was signed. */
  readonly message: string
  /** 64 bytes. */
  readonly signature: Uint8Array
}

const SIGNATURE_TEXT = 96

const attach = (message: string, member: string): string => {
  if (!message.endsWith("}")) throw new TypeError("a signed message is the text of a JSON object and ends in }")
  return message.slice(0, -1) + member + "}"
}

/** M with its last `}` replaced by `,"<member>":"<signature>"}`. `signature` as `formatSignature` gives it. */
export const attachMember = (message: string, member: "sig" | "ticket", signature: string): string =>
  attach(message, `,"${member}":"${signature}"`)

/** The inverse of `attachMember`: null unless the text ends in exactly such a suffix. */
export const splitMember = (text: string, member: "sig" | "ticket"): Signed | null => {
  const lead = `,"${member}":"`
  const start = text.length - lead.length - SIGNATURE_TEXT - 2
  if (start < 1 || !text.startsWith(lead, start) || !text.endsWith('"}')) return null
  const signature = parseSignature(text.slice(start + lead.length, -2))
  return signature === null ? null : { message: text.slice(0, start) + "}", signature }
}

/** The frame of M and its signature. */
export const attachSignature = (message: string, signature: string): string => attachMember(message, "sig", signature)

/** M and signature of a frame; null when it does not end in a signature. */
export const splitSigned = (text: string): Signed | null => splitMember(text, "sig")

/** The frame of M in level `open`. */
export const attachNull = (message: string): string => attach(message, ',"sig":null')
