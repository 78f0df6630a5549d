import type { Hash } from "./Ed25519.ts"
import { SUBJECT_LABELS } from "./Limits.ts"
import { encodeUtf8 } from "./Utf8.ts"
import { isUuid, uuidBytes } from "./Uuid.ts"

/**
 * Every NATS subject of TRAILS is built and parsed here (PROTOCOL §11).
 *
 * | subject | what |
 * |---|---|
 * | `trails.<namespace>.<kind>.<label of root>.….<label of node>._` | a tree event |
 * | `trails.*.<kind>.>` | one kind, everywhere |
 * | `trails.<namespace>.<kind>.>` | one kind in a namespace |
 * | `trails.*.*.<label of root>.….<label>.>` | a subtree, its top included (that is what the closing `_` is for) |
 * | `_trails.replica.<boot>.node.<appId>` | an actor's address |
 * | `_trails.replica.<boot>.nodes` | several actors of a replica, named in the message |
 * | `_trails.replica.<boot>.>` | all that is for a replica |
 * | `_trails.replica.<boot>.lease` | that replica's own lease |
 * | `_trails.log` | all replicas: rows were committed to the log |
 * | `_trails.lease` | all replicas: one of them asks for its lease |
 */

export const TREE_EVENT_KINDS = [
  "scheduled",
  "connected",
  "status",
  "result",
  "error",
  "crash",
  "cancelled",
  "start_failed",
  "reconnecting",
  "lost_contact",
  "recovered",
  "rebound",
  "impostor",
  "control",
  "reparented"
] as const

export type TreeEventKind = (typeof TREE_EVENT_KINDS)[number]

const BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
const LABEL = /^[a-z2-7]{12}$/
const PLAIN_NAMESPACE = /^[a-z0-9]+(?:-[a-z0-9]+)*$/
const NAMESPACE_LENGTH = 63
const SLUG_LENGTH = 40

/** First 12 characters of the lower-case base32 of a hash: 60 bits. */
const shortHash = (bytes: Uint8Array, sha256: Hash): string => {
  const digest = sha256(bytes)
  let text = ""
  let buffer = 0
  let bits = 0
  for (let index = 0; text.length < 12; index++) {
    buffer = ((buffer << 8) | digest[index]!) & 0xfff
    bits += 8
    while (bits >= 5 && text.length < 12) {
      bits -= 5
      text += BASE32[(buffer >> bits) & 31]!
    }
  }
  return text
}

/** A node's place in subjects, from the 16 bytes of its id. Labels can collide: subscribers check the event's ids. */
export const label = (appId: string, sha256: Hash): string => shortHash(uuidBytes(appId), sha256)

/**
 * A namespace as a subject token of `[a-z0-9-]`. What is one already (single inner hyphens, at most 63 characters) stays
 * as it is; anything else becomes `<readable part>--<12 characters of the hash of its UTF-8>`, which no plain one can be.
 */
export const encodeNamespace = (namespace: string, sha256: Hash): string => {
  if (namespace.length <= NAMESPACE_LENGTH && PLAIN_NAMESPACE.test(namespace)) return namespace
  const slug = namespace
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase())
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, SLUG_LENGTH)
    .replace(/^-|-$/g, "")
  return `${slug === "" ? "ns" : slug}--${shortHash(encodeUtf8(namespace), sha256)}`
}

const labels = (path: ReadonlyArray<string>, sha256: Hash): string =>
  path
    .slice(0, SUBJECT_LABELS)
    .map((appId) => label(appId, sha256))
    .join(".")

/** What may stand for a kind in a subject: those of newer servers too. */
const KIND = /^[a-z][a-z_]{0,31}$/

export const isSubjectKind = (kind: string): boolean => KIND.test(kind)

/**
 * `path`: ids from the root to the node, root first; nodes below the twelfth keep the first twelve labels. `kind`: one of ours, or one that a newer server
 * knows (`isSubjectKind`).
 */
export const treeEventSubject = (
  namespace: string,
  kind: TreeEventKind | (string & {}),
  path: ReadonlyArray<string>,
  sha256: Hash
): string => `trails.${encodeNamespace(namespace, sha256)}.${kind}.${labels(path, sha256)}._`

export interface TreeEventAddress {
  /** As encoded in the subject. */
  readonly namespace: string
  readonly kind: TreeEventKind
  /** Root first. */
  readonly labels: ReadonlyArray<string>
}

/** Null for anything that `treeEventSubject` does not build. */
export const parseTreeEventSubject = (subject: string): TreeEventAddress | null => {
  const tokens = subject.split(".")
  const path = tokens.slice(3, -1)
  const kind = TREE_EVENT_KINDS.find((known) => known === tokens[2])
  const namespace = tokens[1] ?? ""
  if (tokens[0] !== "trails" || tokens[tokens.length - 1] !== "_" || kind === undefined) return null
  if (!/^[a-z0-9-]+$/.test(namespace)) return null
  if (path.length === 0 || path.length > SUBJECT_LABELS || !path.every((token) => LABEL.test(token))) return null
  return { namespace, kind, labels: path }
}

/** All events of one kind; of one namespace, or of all. */
export const kindFilter = (kind: TreeEventKind, namespace: string | null, sha256: Hash): string =>
  `trails.${namespace === null ? "*" : encodeNamespace(namespace, sha256)}.${kind}.>`

/** All events of a node and everything below it. */
export const subtreeFilter = (path: ReadonlyArray<string>, sha256: Hash): string =>
  `trails.*.*.${labels(path, sha256)}.>`

export const nodeAddress = (boot: string, appId: string): string => `_trails.replica.${boot}.node.${appId}`

/** Of a message that names several nodes of a replica. */
export const nodesAddress = (boot: string): string => `_trails.replica.${boot}.nodes`

/** Of a message about that replica's own lease. */
export const leaseAddress = (boot: string): string => `_trails.replica.${boot}.lease`

/** What a replica subscribes to, beside `LOG_SUBJECT` and `LEASE_SUBJECT`. */
export const replicaAddresses = (boot: string): string => `_trails.replica.${boot}.>`

/** Heard by all replicas. */
export const LOG_SUBJECT = "_trails.log"
export const LEASE_SUBJECT = "_trails.lease"

/** Whom a message for all replicas names as its receiver. */
export const BROADCAST = "*"

/** Where a message between replicas was sent to. */
export interface ReplicaAddress {
  /** UUID of a boot, or `BROADCAST`. */
  readonly to: string
  /** What is spoken of. */
  readonly about: "node" | "nodes" | "lease" | "log"
  /** null: the subject names no single node. */
  readonly appId: string | null
}

/** Null for anything that no replica sends to. */
export const parseReplicaSubject = (subject: string): ReplicaAddress | null => {
  if (subject === LOG_SUBJECT) return { to: BROADCAST, about: "log", appId: null }
  if (subject === LEASE_SUBJECT) return { to: BROADCAST, about: "lease", appId: null }
  const [first, second, boot, about, appId, ...more] = subject.split(".")
  if (first !== "_trails" || second !== "replica" || !isUuid(boot) || more.length > 0) return null
  if (about === "nodes" || about === "lease") return appId === undefined ? { to: boot, about, appId: null } : null
  return about === "node" && isUuid(appId) ? { to: boot, about, appId } : null
}
