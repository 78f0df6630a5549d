import type { ClientFrame, RegisteredFrame } from "../protocol/Frames.ts"
import { decodeClientFrame, parseJson } from "../protocol/FrameDecoder.ts"
import { parseUsableKey } from "../protocol/Keys.ts"
import { decodeServerFrame } from "../protocol/ServerFrameDecoder.ts"
import { splitSigned, type Tag, TAGS } from "../protocol/SignedFrame.ts"
import type { TreeEventData } from "../protocol/TreeEvent.ts"
import { encodeUtf8 } from "../protocol/Utf8.ts"
import { ed25519 } from "./Crypto.ts"
import { unverified, type Verdict } from "./Verdict.ts"

export const signedBy = (frame: string, tag: Tag, keyText: string): boolean => {
  const key = parseUsableKey(keyText)
  const signed = splitSigned(frame)
  return key !== null && signed !== null && ed25519.verify(key, encodeUtf8(tag + signed.message), signed.signature)
}

/** Who a frame says it is from, before anything in it is believed. */
export const authorOf = (frame: string): "node" | "server" | "nobody" => {
  const value = parseJson(frame)
  if (typeof value !== "object" || value === null || !("type" in value)) return "nobody"
  return value.type === "registered" ? "server" : "node"
}

export const isUnsigned = (frame: string): boolean => frame.endsWith(',"sig":null}')

/** The server's `registered` if it is genuine, whoever had it in between; null: it is not. */
export const genuineRegistered = (frame: string, serverKey: string): RegisteredFrame | null => {
  if (!signedBy(frame, TAGS.server, serverKey)) return null
  const decoded = decodeServerFrame(frame)
  if (!("frame" in decoded) || decoded.frame.type !== "registered") return null
  return decoded.frame.server_pub_key === serverKey ? decoded.frame : null
}

const KIND_OF = { Status: "status", Result: "result", Error: "error" } as const

/** Whether event and frame say the same; the facts around a frame are the server's. */
const agrees = (frame: ClientFrame, { app_id, incarnation, kind, seq }: TreeEventData): boolean => {
  if (frame.app_id !== app_id) return false
  if ("incarnation" in frame && frame.incarnation !== undefined && frame.incarnation !== incarnation) return false
  switch (frame.type) {
    case "message":
      return frame.header.seq === seq && KIND_OF[frame.header.msg_type] === kind
    case "disconnect":
      return frame.seq === seq && (kind === "result" || kind === "error" || kind === "cancelled")
    default:
      return kind !== "status" && kind !== "result" && kind !== "error"
  }
}

/** A node's frame under its key. */
export const nodeVerdict = (frame: string, key: string, data: TreeEventData): Verdict => {
  if (!signedBy(frame, TAGS.child, key)) return unverified("bad_signature")
  const decoded = decodeClientFrame(frame, frame.length, "v1")
  if (!("frame" in decoded)) return unverified("malformed")
  return agrees(decoded.frame, data) ? { verified: true, by: "node", key } : unverified("contradiction")
}

/** Whether a genuine `registered` is about what its event says. */
export const registeredAgrees = (frame: RegisteredFrame, data: TreeEventData): boolean =>
  frame.app_id === data.app_id && frame.incarnation === data.incarnation && frame.parent_id === data.parent_id
