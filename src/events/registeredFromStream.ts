import { jetstreamManager } from "@nats-io/jetstream"
import type { NatsConnection } from "@nats-io/transport-node"
import { parseJson } from "../protocol/FrameDecoder.ts"
import { treeEventSubject } from "../protocol/Subjects.ts"
import { readTreeEvent, type TreeEventData } from "../protocol/TreeEvent.ts"
import { hashed } from "./Crypto.ts"

/** Kinds of events that carry the server's `registered`. */
const KINDS = ["connected", "recovered", "rebound"] as const

/**
 * For `Verifier`: the newest `registered` frame of a node that the stream still has, for consumers that go on after their
 * node has registered. It needs the right to read single messages (`$JS.API.STREAM.MSG.GET.trails`), which shows events
 * beyond a consumer's own filter; without it nothing is found.
 */
export const registeredFromStream =
  (connection: NatsConnection, stream = "trails") =>
  async (data: TreeEventData): Promise<string | null> => {
    const manager = await jetstreamManager(connection, { checkAPI: false })
    for (const kind of KINDS) {
      const subject = treeEventSubject(data.namespace, kind, data.path, hashed)
      const message = await manager.streams.getMessage(stream, { last_by_subj: subject })
      const event = message === null ? null : readTreeEvent(parseJson(message.string()))
      const found = event?.data
      if (found?.frame !== undefined && found.app_id === data.app_id && found.incarnation === data.incarnation) {
        return found.frame
      }
    }
    return null
  }
