import { encodeBase64 } from "./Base64.ts"
import { decodeEnvelope, isEnvelopeProblem, type Envelope } from "./Envelope.ts"
import type { Ed25519, Hash } from "./Ed25519.ts"
import { formatSignature, parseUsableKey } from "./Keys.ts"
import { isWeaker } from "./Level.ts"
import { TREE_DEPTH } from "./Limits.ts"
import { attachMember, splitMember, TAGS, type Signed } from "./SignedFrame.ts"
import { encodeUtf8 } from "./Utf8.ts"

/** As much of it as reading takes. */
type Verifying = Pick<Ed25519, "verify">

/** The bytes that a ticket signs: the tag and the envelope's JSON without the ticket (PROTOCOL §5). */
export const ticketBytes = (message: string): Uint8Array => encodeUtf8(TAGS.ticket + message)

/** The envelope's text without its ticket, and the ticket; null when it does not end in one. */
export const splitTicket = (json: string): Signed | null => splitMember(json, "ticket")

/** The envelope's text with the issuer's ticket as last member. `message` must not have one. */
export const issueTicket = (message: string, seed: Uint8Array, ed25519: Ed25519): string =>
  attachMember(message, "ticket", formatSignature(ed25519.sign(seed, ticketBytes(message))))

/** Whether the envelope's ticket is by this issuer: the parent's key, or the server's for a root. */
export const verifyTicket = (json: string, issuerKey: string, ed25519: Verifying): boolean => {
  const key = parseUsableKey(issuerKey)
  const signed = splitTicket(json)
  return key !== null && signed !== null && ed25519.verify(key, ticketBytes(signed.message), signed.signature)
}

/** base64 of SHA-256 over the envelope's JSON bytes, ticket included: what `registered.ticket_hash` binds. */
export const ticketHash = (json: string, sha256: Hash): string => encodeBase64(sha256(encodeUtf8(json)))

export interface Chain {
  /** Ids from the root to the last envelope's node, root first. */
  readonly path: ReadonlyArray<string>
  /** The only key that may register as the last node. */
  readonly key: string
}

export interface ChainProblem {
  /** Index of the envelope that breaks the chain. */
  readonly at: number
  readonly problem: string
}

const link = (envelope: Envelope, path: ReadonlyArray<string>, issuer: string, ed25519: Verifying): string | null => {
  if (envelope.parentId !== path[path.length - 1]) return "its parent is not the node before it"
  if (path.includes(envelope.appId)) return "its node is in the chain already"
  if (path.length >= TREE_DEPTH) return `the tree is deeper than ${TREE_DEPTH}`
  if (!verifyTicket(envelope.json, issuer, ed25519)) return "its ticket is not by the node before it"
  return envelope.childKey === null ? "it sets no childKey, so that the chain can't go on without the server" : null
}

/**
 * Proves the last node's key and its place below the root from the root's 32 bytes alone, without trusting the server
 * (PROTOCOL §5): each envelope is signed by the key that the one before it names as `childKey`. It says nothing of
 * keys bound later (rotation), of deadlines, or of what the nodes are allowed to do.
 * `infos`: the base64 envelopes of the root's child, its child, and so on.
 */
export const verifyChain = (
  root: { readonly appId: string; readonly key: string },
  infos: ReadonlyArray<string>,
  ed25519: Verifying
): Chain | ChainProblem => {
  const path = [root.appId]
  let key = root.key
  let level: Envelope["secLevel"] = "open"
  for (const [at, info] of infos.entries()) {
    const envelope = decodeEnvelope(info)
    if (isEnvelopeProblem(envelope)) return { at, problem: envelope.problem }
    const problem = link(envelope, path, key, ed25519)
    if (problem !== null) return { at, problem }
    if (isWeaker(envelope.secLevel, level)) return { at, problem: "its level is below its parent's" }
    path.push(envelope.appId)
    key = envelope.childKey!
    level = envelope.secLevel
  }
  return { path, key }
}
