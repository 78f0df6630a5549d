import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream"
import { connect, type NatsConnection } from "@nats-io/transport-node"
import { readTreeEvent, type TreeEvent } from "../../src/protocol/TreeEvent.ts"
import { parseTreeEventSubject } from "../../src/protocol/Subjects.ts"
import type { NatsServer } from "./NatsServer.ts"

export const STREAM = "trails"

export interface StreamEvent {
  readonly sequence: number
  readonly subject: string
  readonly messageId: string
  readonly contentType: string
  readonly bytes: number
  readonly event: TreeEvent
}

/** What stands in the stream of tree events, as any client of NATS sees it. Connects anew for each question. */
export class StreamReader {
  readonly #server: NatsServer

  constructor(server: NatsServer) {
    this.#server = server
  }

  async use<A>(body: (manager: JetStreamManager, connection: NatsConnection) => Promise<A>): Promise<A> {
    const connection = await connect({ servers: this.#server.url, reconnect: false })
    try {
      return await body(await jetstreamManager(connection), connection)
    } finally {
      await connection.close()
    }
  }

  count(): Promise<number> {
    return this.use(async (manager) => (await manager.streams.info(STREAM)).state.messages)
  }

  /** All of it, in its order; fails on what is no tree event. */
  events(): Promise<ReadonlyArray<StreamEvent>> {
    return this.use(async (manager) => {
      const { state } = await manager.streams.info(STREAM)
      const found: Array<StreamEvent> = []
      for (let sequence = state.first_seq; sequence <= state.last_seq; sequence++) {
        const message = await manager.streams.getMessage(STREAM, { seq: sequence })
        if (message === null) throw new Error(`message ${sequence} of the stream is gone`)
        const event = readTreeEvent(message.json())
        if (event === null || parseTreeEventSubject(message.subject) === null) {
          throw new Error(`message ${sequence} on ${message.subject} is no tree event: ${message.string()}`)
        }
        found.push({
          sequence,
          subject: message.subject,
          messageId: message.header.get("Nats-Msg-Id"),
          contentType: message.header.get("Content-Type"),
          bytes: message.data.length,
          event
        })
      }
      return found
    })
  }

  async ids(): Promise<ReadonlyArray<string>> {
    return (await this.events()).map(({ event }) => event.id)
  }
}
