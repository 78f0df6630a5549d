import { jetstream, type JetStreamClient, jetstreamManager } from "@nats-io/jetstream"
import { headers } from "@nats-io/transport-node"
import { Effect, Layer } from "effect"
import { Settings } from "../Settings.ts"
import { type Anchor, type EventMessage, EventOutlet, type Fate, OutletAway } from "../supervision/EventOutlet.ts"
import { eventMessage } from "./EventMessages.ts"
import { ensureStream, STREAM } from "./EventStream.ts"
import { NatsLink } from "./NatsLink.ts"
import { fateOf, outletAway } from "./PublishFate.ts"

/** How long a server may take to answer. */
const ANSWER_MS = 5_000
/** CloudEvents' binding for NATS, structured mode. */
const CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
const DEFAULT_MAX_PAYLOAD = 1024 * 1024

const stored: Fate = { _tag: "stored" }

const publishOne = async (client: JetStreamClient, message: EventMessage, anchor: Anchor): Promise<Fate> => {
  const typed = headers()
  typed.set("Content-Type", CONTENT_TYPE)
  try {
    // A server looks for the id first: what is there already is acknowledged, wherever it stands.
    await client.publish(message.subject, message.body, {
      msgID: message.id,
      headers: typed,
      timeout: ANSWER_MS,
      expect: {
        streamName: STREAM,
        ...(anchor._tag === "Event" ? { lastMsgID: anchor.id } : { lastSequence: anchor.last })
      }
    })
    return stored
  } catch (error) {
    return fateOf(error)
  }
}

/**
 * `EventOutlet` on JetStream. Each message names the one that it stands behind (`Nats-Expected-Last-Msg-Id`; the first of
 * a holder the stream's last sequence), so that a server stores them in this order or not at all, however many are under
 * way. They are sent in one turn of the loop, before anything is waited for.
 */
export const layer: Layer.Layer<EventOutlet, never, NatsLink | Settings> = Layer.effect(
  EventOutlet,
  Effect.gen(function* () {
    const link = yield* NatsLink
    const { events, publicUrl } = yield* Settings
    const restUrl = publicUrl?.replace(/\/$/, "") ?? ""
    let complained: string | null = null

    const open = Effect.gen(function* () {
      const connection = link.connection()
      if (connection === null) {
        return yield* new OutletAway({ reason: "away", message: "there is no connection to NATS" })
      }
      const { info } = connection
      const { complaint, lastSequence } = yield* Effect.tryPromise({
        try: async () => {
          const manager = await jetstreamManager(connection, { checkAPI: false, timeout: ANSWER_MS })
          return await ensureStream(manager, events, info?.cluster !== undefined)
        },
        catch: outletAway
      })
      if (complaint !== null && complaint !== complained) {
        yield* Effect.logError(`the stream of tree events keeps its configuration; JetStream says: ${complaint}`)
      }
      complained = complaint
      const client = jetstream(connection, { timeout: ANSWER_MS })
      const limits = { maxPayload: info?.max_payload ?? DEFAULT_MAX_PAYLOAD, restUrl }
      return {
        lastSequence,
        render: (row, bare) => eventMessage(row, bare, limits),
        publish: (messages, anchor) =>
          Effect.promise(() =>
            Promise.all(
              messages.map((message, index) => {
                const before = messages[index - 1]
                return publishOne(client, message, before === undefined ? anchor : { _tag: "Event", id: before.id })
              })
            )
          )
      } satisfies Effect.Success<EventOutlet["Service"]["open"]>
    })
    return { reachable: () => link.connection() !== null, open }
  })
)
