import { sha256 } from "../actors/Ed25519.ts"
import { isSubjectKind, treeEventSubject } from "../protocol/Subjects.ts"
import { treeEventId } from "../protocol/TreeEvent.ts"
import type { TreeLogRow } from "../storage/TreeLog.ts"
import type { EventMessage } from "../supervision/EventOutlet.ts"
import { bareEventOf, eventOf } from "./TreeEvents.ts"

/** More than the headers of a message take; a server counts them in its `max_payload`. */
const HEADERS = 1024

export interface MessageLimits {
  /** The server's: bytes of headers and body. */
  readonly maxPayload: number
  /** As in `EventLimits`. */
  readonly restUrl: string
}

/**
 * A row as it goes to JetStream (PROTOCOL §11): with its frame up to half of what the server takes, else with where to get
 * it, and so from the start when `bare`. Throws on a row that no event can be made of.
 */
export const eventMessage = (
  row: TreeLogRow,
  bare: boolean,
  { maxPayload, restUrl }: MessageLimits
): EventMessage | { readonly unfit: string } => {
  const { appId, frame, id, kind, n, namespace, path } = row
  if (!isSubjectKind(kind)) return { unfit: `its kind can't stand in a subject` }
  const subject = treeEventSubject(namespace, kind, path, sha256)
  const made = (body: Uint8Array, isBare: boolean): EventMessage => ({
    id: treeEventId(appId, n),
    cursor: id,
    subject,
    body,
    bare: isBare
  })
  const whole = bare && frame !== null ? null : Buffer.from(JSON.stringify(eventOf(row)))
  if (whole !== null && (frame === null || whole.length <= maxPayload / 2)) {
    return whole.length + HEADERS <= maxPayload
      ? made(whole, frame === null)
      : { unfit: tooLarge(whole.length, maxPayload) }
  }
  const rest = Buffer.from(JSON.stringify(bareEventOf(row, restUrl)))
  return rest.length + HEADERS <= maxPayload ? made(rest, true) : { unfit: tooLarge(rest.length, maxPayload) }
}

const tooLarge = (bytes: number, maxPayload: number): string =>
  `it has ${bytes} bytes without its frame, and the server's max_payload is ${maxPayload}`
