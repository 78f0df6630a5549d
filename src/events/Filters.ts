import { hashed } from "./Crypto.ts"
import type { TreeEvent, TreeEventData } from "../protocol/TreeEvent.ts"
import { encodeNamespace, label, parseTreeEventSubject, type TreeEventKind } from "../protocol/Subjects.ts"
import { SUBJECT_LABELS } from "../protocol/Limits.ts"
import { isUuid } from "../protocol/Uuid.ts"

/** Which events: those that fit all that is named. */
export interface EventFilter {
  /** Of the tree, as its root was given it. */
  readonly namespace?: string
  readonly kinds?: ReadonlyArray<TreeEventKind>
  /** A node and everything below it: the ids from the root to that node, root first. */
  readonly subtree?: ReadonlyArray<string>
}

const tail = (subtree: ReadonlyArray<string>): string =>
  [...subtree.slice(0, SUBJECT_LABELS).map((appId) => label(appId, hashed)), ">"].join(".")

/** Subjects that hold every event that fits, and few others; throws a TypeError on ids that are none. */
export const subjectsOf = ({ kinds, namespace, subtree = [] }: EventFilter): ReadonlyArray<string> => {
  if (!subtree.every(isUuid)) throw new TypeError("subtree: ids from the root to a node, each a lower-case UUID")
  const place = namespace === undefined ? "*" : encodeNamespace(namespace, hashed)
  const wanted = kinds === undefined || kinds.length === 0 ? ["*"] : [...new Set(kinds)]
  return wanted.map((kind) => `trails.${place}.${kind}.${tail(subtree)}`)
}

/** One subject for servers that take no more: it holds the other kinds too. */
export const broadSubjectOf = ({ namespace, subtree }: EventFilter): string =>
  subjectsOf({ ...(namespace === undefined ? {} : { namespace }), ...(subtree === undefined ? {} : { subtree }) })[0]!

/** Labels are short hashes, and only the first twelve stand in a subject: the ids decide. */
export const fits = ({ kinds, namespace, subtree }: EventFilter, { data }: TreeEvent): boolean =>
  (namespace === undefined || data.namespace === namespace) &&
  (kinds === undefined || kinds.length === 0 || (kinds as ReadonlyArray<string>).includes(data.kind)) &&
  (subtree === undefined || subtree.every((appId, index) => data.path[index] === appId))

/** Whether the path is that of its node: what was on a subject of its path could be about any other. */
const isWhole = ({ app_id, parent_id, path, root_id }: TreeEventData): boolean =>
  path[0] === root_id && path.at(-1) === app_id && (path.at(-2) ?? null) === parent_id

/** Whether the event may stand on this subject: its kind, its namespace and its place are those of its ids. */
export const belongsOn = (subject: string, { data }: TreeEvent): boolean => {
  if (!isWhole(data)) return false
  const address = parseTreeEventSubject(subject)
  // A kind of a newer server is no reason to drop it.
  if (address === null) return subject.split(".")[2] === data.kind
  return (
    address.kind === data.kind &&
    address.namespace === encodeNamespace(data.namespace, hashed) &&
    address.labels.join(".") ===
      data.path
        .slice(0, SUBJECT_LABELS)
        .map((appId) => label(appId, hashed))
        .join(".")
  )
}
