import {
  AckPolicy,
  type Consumer,
  type ConsumerConfig,
  DeliverPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  jetstream,
  jetstreamManager
} from "@nats-io/jetstream"
import type { NatsConnection } from "@nats-io/transport-node"
import { broadSubjectOf, subjectsOf } from "./Filters.ts"
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

/** The consumer of a subscription in its stream: found by its name, told of new filters, or made. */
export class DurableConsumer {
  readonly #connection: NatsConnection
  readonly #options: SubscribeOptions
  readonly #stream: string
  readonly #subjects: ReadonlyArray<string>

  constructor(connection: NatsConnection, options: SubscribeOptions) {
    if (!NAME.test(options.name)) throw new TypeError("name: letters, digits, - and _, at most 200")
    this.#connection = connection
    this.#options = options
    this.#stream = options.stream ?? STREAM
    this.#subjects = subjectsOf(options)
  }

  async ensure(): Promise<Consumer> {
    const { apiPrefix, existing, name } = this.#options
    const api = apiPrefix === undefined ? {} : { apiPrefix }
    if (existing !== true) {
      const manager = await jetstreamManager(this.#connection, { ...api, checkAPI: false })
      const [only = ""] = this.#subjects
      if (this.#subjects.length === 1) await this.#settle(manager, { filter_subject: only })
      else await this.#several(manager)
    }
    return await jetstream(this.#connection, api).consumers.get(this.#stream, name)
  }

  /** Servers before 2.10 take one filter: it holds the other kinds too, and they are left out on this side. */
  async #several(manager: JetStreamManager): Promise<void> {
    try {
      await this.#settle(manager, { filter_subjects: [...this.#subjects] })
    } catch (error) {
      if (!(error instanceof Error) || error.name !== "InvalidArgumentError") throw error
      await this.#settle(manager, { filter_subject: broadSubjectOf(this.#options) })
    }
  }

  async #settle(manager: JetStreamManager, subjects: Subjects): Promise<void> {
    const { ackWaitMs, from, name } = this.#options
    const { consumers } = manager
    let found: ConsumerConfig | null = null
    try {
      found = (await consumers.info(this.#stream, name)).config
    } catch (error) {
      if (!(error instanceof JetStreamApiError) || error.code !== JetStreamApiCodes.ConsumerNotFound) throw error
    }
    if (found === null) {
      await consumers.add(this.#stream, {
        durable_name: name,
        ack_policy: AckPolicy.Explicit,
        ack_wait: nanos(ackWaitMs ?? ACK_WAIT_MS),
        ...beginning(from),
        ...subjects
      })
    } else if (
      found.filter_subject !== subjects.filter_subject ||
      found.filter_subjects?.join() !== subjects.filter_subjects?.join()
    ) {
      // What is told undefined is left out: a consumer has one kind of filter or the other.
      const none = { filter_subject: undefined, filter_subjects: undefined }
      await consumers.update(this.#stream, name, { ...none, ...subjects } as Subjects)
    }
  }
}
