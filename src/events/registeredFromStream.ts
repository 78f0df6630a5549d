import { jetstreamManager, type StoredMsg } from "@nats-io/jetstream"
import type { NatsConnection } from "@nats-io/transport-node"
import { parseJson } from "../protocol/FrameDecoder.ts"
import { treeEventSubject } from "../protocol/Subjects.ts"
import { readTreeEvent, type TreeEventData } from "../protocol/TreeEvent.ts"
import { hashed } from "./Crypto.ts"

/** Kinds of events that carry the server's `registered`. */
const KINDS = ["connected", "recovered", "rebound"] as const
/** Of these, the kinds that begin an incarnation. */
const BEGINNINGS = ["connected", "rebound"] as const
/** Incarnations of one node that are looked through. */
const MOST = 1000

const dataOf = (message: StoredMsg): TreeEventData | undefined => readTreeEvent(parseJson(message.string()))?.data

/**
 * For `Verifier`: the `registered` frame of a node's incarnation that the stream still has, for consumers that go on after
 * their node has registered: the newest is looked at first, then those before it from the oldest on, one request each. It
 * needs the right to read single messages (`$JS.API.STREAM.MSG.GET.trails`), which shows events beyond a consumer's own
 * filter; without it nothing is found.
 */
export const registeredFromStream =
  (connection: NatsConnection, stream = "trails") =>
  async (data: TreeEventData): Promise<string | null> => {
    const { streams } = await jetstreamManager(connection, { checkAPI: false })
    const subjectOf = (kind: (typeof KINDS)[number]) => treeEventSubject(data.namespace, kind, data.path, hashed)
    const frameIn = (found: TreeEventData | undefined): string | null =>
      found?.app_id === data.app_id && found.incarnation === data.incarnation ? (found.frame ?? null) : null
    for (const kind of KINDS) {
      const message = await streams.getMessage(stream, { last_by_subj: subjectOf(kind) })
      const frame = message === null ? null : frameIn(dataOf(message))
      if (frame !== null) return frame
    }
    for (const kind of BEGINNINGS) {
      let seq = 1
      for (let looked = 0; looked < MOST; looked++) {
        const query = { seq, next_by_subj: subjectOf(kind) }
        const message = await streams.getMessage(stream, query)
        if (message === null) break
        const found = dataOf(message)
        const frame = frameIn(found)
        if (frame !== null) return frame
        if (found?.app_id === data.app_id && found.incarnation > data.incarnation) break
        seq = message.seq + 1
      }
    }
    return null
  }
