import { statSync } from "node:fs"
import { decodeEnvelope, type Envelope, isEnvelopeProblem } from "../protocol/Envelope.ts"

/** What the process was started with: the node that it is, if any (PROTOCOL §2). Never its ticket. */
export type NodeIdentity =
  | { readonly _tag: "None" }
  | { readonly _tag: "Unreadable"; readonly problem: string }
  | { readonly _tag: "Node"; readonly envelope: Omit<Envelope, "ticket" | "json"> }

export const nodeIdentity = (info: string | undefined = process.env["TRAILS_INFO"]): NodeIdentity => {
  if (info === undefined || info === "") return { _tag: "None" }
  const decoded = decodeEnvelope(info.trim())
  if (isEnvelopeProblem(decoded)) return { _tag: "Unreadable", problem: decoded.problem }
  const { json: _json, ticket: _ticket, ...envelope } = decoded
  return { _tag: "Node", envelope }
}

/** The socket by which the enclosing `trails run` speaks to what it started. */
export interface AgentSocket {
  readonly path: string
  readonly isThere: boolean
}

export const agentSocket = (path: string | undefined = process.env["TRAILS_AGENT"]): AgentSocket | null =>
  path === undefined || path === ""
    ? null
    : { path, isThere: statSync(path, { throwIfNoEntry: false })?.isSocket() === true }
