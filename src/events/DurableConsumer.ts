import {
  AckPolicy,
  type Consumer,
  type ConsumerConfig,
  type ConsumerInfo,
  DeliverPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  type StreamInfo
} from "@nats-io/jetstream"
import type { NatsConnection } from "@nats-io/transport-node"
import { EventsMissed } from "./EventsMissed.ts"
import { broadSubjectOf, subjectsOf } from "./Filters.ts"
import { Position } from "./Position.ts"
import type { SubscribeOptions } from "./SubscribeOptions.ts"

const STREAM = "trails"
const ACK_WAIT_MS = 60_000
const NAME = /^[A-Za-z0-9_-]{1,200}$/

const nanos = (ms: number): number => ms * 1_000_000

type Subjects = Pick<ConsumerConfig, "filter_subject" | "filter_subjects">

/** Where a new consumer begins. */
const beginning = (from: SubscribeOptions["from"]): Partial<ConsumerConfig> =>
  from instanceof Date
    ? { deliver_policy: DeliverPolicy.StartTime, opt_start_time: from.toISOString() }
    : { deliver_policy: from === "now" ? DeliverPolicy.New : DeliverPolicy.All }

/** In which stream it is, told by the time of its birth (null: not known), and where there. */
interface Place {
  readonly stream: string | null
  readonly position: Position
}

/** A consumer, and where it is. */
export interface Standing {
  readonly consumer: Consumer
  readonly position: Position
}

/**
 * The consumer of a subscription in its stream: found by its name, told of new filters, or made. One that is made again
 * goes on where the lost one was; in a new stream it begins at its beginning.
 */
export class DurableConsumer {
  readonly #connection: NatsConnection
  readonly #options: SubscribeOptions
  readonly #stream: string
  readonly #subjects: ReadonlyArray<string>
  /** null: this process has not had it yet. */
  #place: Place | null = null

  constructor(connection: NatsConnection, options: SubscribeOptions) {
    if (!NAME.test(options.name)) throw new TypeError("name: letters, digits, - and _, at most 200")
    this.#connection = connection
    this.#options = options
    this.#stream = options.stream ?? STREAM
    this.#subjects = subjectsOf(options)
  }

  /** `onMissed` is called with what the stream has dropped before the consumer came to it. */
  async ensure(onMissed: (missed: EventsMissed) => void): Promise<Standing> {
    const { apiPrefix, existing, name } = this.#options
    const api = apiPrefix === undefined ? {} : { apiPrefix }
    let position = new Position(1)
    if (existing !== true) {
      const manager = await jetstreamManager(this.#connection, { ...api, checkAPI: false })
      const [only = ""] = this.#subjects
      const next =
        this.#subjects.length === 1
          ? await this.#settle(manager, { filter_subject: only })
          : await this.#several(manager)
      position = await this.#arrive(manager, next, onMissed)
    }
    return { consumer: await jetstream(this.#connection, api).consumers.get(this.#stream, name), position }
  }

  /** Servers before 2.10 take one filter: it holds the other kinds too, and they are left out on this side. */
  async #several(manager: JetStreamManager): Promise<number> {
    try {
      return await this.#settle(manager, { filter_subjects: [...this.#subjects] })
    } catch (error) {
      if (!(error instanceof Error) || error.name !== "InvalidArgumentError") throw error
      return await this.#settle(manager, { filter_subject: broadSubjectOf(this.#options) })
    }
  }

  /** Answers the first sequence of the stream that the consumer has to come to. */
  async #settle(manager: JetStreamManager, subjects: Subjects): Promise<number> {
    const { ackWaitMs, name } = this.#options
    const { consumers } = manager
    let found: ConsumerInfo | null = null
    try {
      found = await consumers.info(this.#stream, name)
    } catch (error) {
      if (!(error instanceof JetStreamApiError) || error.code !== JetStreamApiCodes.ConsumerNotFound) throw error
    }
    if (found === null) {
      const start = await this.#beginning(manager)
      const { ack_floor } = await consumers.add(this.#stream, {
        durable_name: name,
        ack_policy: AckPolicy.Explicit,
        ack_wait: nanos(ackWaitMs ?? ACK_WAIT_MS),
        ...start,
        ...subjects
      })
      return start.opt_start_seq ?? ack_floor.stream_seq + 1
    }
    if (
      found.config.filter_subject !== subjects.filter_subject ||
      found.config.filter_subjects?.join() !== subjects.filter_subjects?.join()
    ) {
      // What is told undefined is left out: a consumer has one kind of filter or the other.
      const none = { filter_subject: undefined, filter_subjects: undefined }
      await consumers.update(this.#stream, name, { ...none, ...subjects } as Subjects)
    }
    return found.ack_floor.stream_seq + 1
  }

  async #beginning(manager: JetStreamManager): Promise<Partial<ConsumerConfig>> {
    if (this.#place === null) return beginning(this.#options.from)
    const stream = await this.#look(manager)
    if (stream?.created !== this.#place.stream) return { deliver_policy: DeliverPolicy.All }
    return { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: this.#place.position.next }
  }

  async #arrive(manager: JetStreamManager, next: number, onMissed: (missed: EventsMissed) => void): Promise<Position> {
    const stream = await this.#look(manager)
    const first = stream?.state.first_seq ?? 0
    if (next > 1 && next < first) onMissed(new EventsMissed(next, first - 1))
    const created = stream?.created ?? null
    if (this.#place === null || this.#place.stream !== created) {
      this.#place = { stream: created, position: new Position(next) }
    }
    return this.#place.position
  }

  /** null: whoever may make consumers need not have the right to ask for the stream. */
  async #look(manager: JetStreamManager): Promise<StreamInfo | null> {
    try {
      return await manager.streams.info(this.#stream)
    } catch (error) {
      if (error instanceof JetStreamApiError) throw error
      return null
    }
  }
}
