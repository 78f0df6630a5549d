import type { RegisteredFrame, ServerFrame } from "../protocol/Frames.ts"
import { decodeClientFrame, parseJson } from "../protocol/FrameDecoder.ts"
import { parseUsableKey } from "../protocol/Keys.ts"
import { decodeServerFrame } from "../protocol/ServerFrameDecoder.ts"
import { splitSigned, type Tag, TAGS } from "../protocol/SignedFrame.ts"
import type { TreeEventData } from "../protocol/TreeEvent.ts"
import { encodeUtf8 } from "../protocol/Utf8.ts"
import { ed25519 } from "./Crypto.ts"
import { nodeAgrees } from "./FrameAgreement.ts"
import { unverified, type Verdict } from "./Verdict.ts"

export const signedBy = (frame: string, tag: Tag, keyText: string): boolean => {
  const key = parseUsableKey(keyText)
  const signed = splitSigned(frame)
  return key !== null && signed !== null && ed25519.verify(key, encodeUtf8(tag + signed.message), signed.signature)
}

const SERVER_TYPES: ReadonlySet<unknown> = new Set(["registered", "control"])

/** Who a frame says it is from, before anything in it is believed. */
export const authorOf = (frame: string): "node" | "server" | "nobody" => {
  const value = parseJson(frame)
  if (typeof value !== "object" || value === null || !("type" in value)) return "nobody"
  return SERVER_TYPES.has(value.type) ? "server" : "node"
}

export const isUnsigned = (frame: string): boolean => frame.endsWith(',"sig":null}')

/** The server's frame if it is genuine, whoever had it in between; null: it is not. */
export const genuineServerFrame = (frame: string, serverKey: string): ServerFrame | null => {
  if (!signedBy(frame, TAGS.server, serverKey)) return null
  const decoded = decodeServerFrame(frame)
  if (!("frame" in decoded)) return null
  const isOfAnother = decoded.frame.type === "registered" && decoded.frame.server_pub_key !== serverKey
  return isOfAnother ? null : decoded.frame
}

export const genuineRegistered = (frame: string, serverKey: string): RegisteredFrame | null => {
  const genuine = genuineServerFrame(frame, serverKey)
  return genuine?.type === "registered" ? genuine : null
}

/** A node's frame under its key. */
export const nodeVerdict = (frame: string, key: string, data: TreeEventData): Verdict => {
  if (!signedBy(frame, TAGS.child, key)) return unverified("bad_signature")
  const decoded = decodeClientFrame(frame, frame.length, "v1")
  if (!("frame" in decoded)) return unverified("malformed")
  return nodeAgrees(decoded.frame, data) ? { verified: true, by: "node", key } : unverified("contradiction")
}
