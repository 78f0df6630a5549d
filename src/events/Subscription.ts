import type { ConsumerMessages, JsMsg } from "@nats-io/jetstream"
import type { NatsConnection } from "@nats-io/transport-node"
import { DurableConsumer, type Standing } from "./DurableConsumer.ts"
import { fits } from "./Filters.ts"
import { isBad, readMessage, ReceivedEvent } from "./ReceivedEvent.ts"
import { Position } from "./Position.ts"
import type { SubscribeOptions } from "./SubscribeOptions.ts"
import { unverified } from "./Verdict.ts"

const PREFETCH = 64
const HEARTBEAT_MS = 5_000
const RETRY_MS = [200, 5_000] as const

const giveBack = (message: JsMsg): void => message.nak()

const errorOf = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)))

/**
 * Tree events, one after the other, from a durable consumer. It outlives reconnects, restarts of the servers, and the loss of
 * the stream or the consumer: those are made or found again, a new stream from its beginning. Ends when it is closed,
 * its loop is left, or the connection is closed; one that gave up is thrown.
 */
export class Subscription implements AsyncIterable<ReceivedEvent> {
  readonly #connection: NatsConnection
  readonly #options: SubscribeOptions
  readonly #consumer: DurableConsumer
  #messages: ConsumerMessages | null = null
  #position = new Position(1)
  #wake = () => {}
  #isClosed = false
  #bad = 0

  constructor(connection: NatsConnection, options: SubscribeOptions) {
    this.#connection = connection
    this.#options = options
    this.#consumer = new DurableConsumer(connection, options)
  }

  /** Messages that were no events, since the start. */
  get bad(): number {
    return this.#bad
  }

  /** Makes the consumer, if it is not there; events are kept for it from then on. Rejects when there is no stream yet. */
  async open(): Promise<this> {
    await this.#ensure()
    return this
  }

  /** Ends the loop; the consumer stays, and what was not acked comes again: what was fetched ahead at once. */
  close(): void {
    this.#isClosed = true
    this.#messages?.stop()
    this.#wake()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ReceivedEvent, void, void> {
    let delay: number = RETRY_MS[0]
    try {
      while (this.#isOpen()) {
        try {
          const messages = (await this.#fetch())[Symbol.asyncIterator]()
          for (let next = await messages.next(); next.done !== true; next = await messages.next()) {
            delay = RETRY_MS[0]
            if (this.#isClosed) giveBack(next.value)
            else yield* this.#deliver(next.value, messages)
          }
        } catch (error) {
          this.#report(errorOf(error))
        }
        if (!this.#isOpen()) break
        await this.#pause(delay)
        delay = Math.min(delay * 2, RETRY_MS[1])
      }
    } finally {
      this.close()
    }
    const failure = this.#connection.isClosed() ? await this.#connection.closed() : undefined
    if (failure instanceof Error) throw failure
  }

  /** One event to the loop. When the loop is left in its turn, it and what was fetched behind it go back, in their order. */
  async *#deliver(message: JsMsg, rest: AsyncIterator<JsMsg>): AsyncGenerator<ReceivedEvent, void, void> {
    const received = await this.#receive(message)
    if (received === null) return
    let isLeft = true
    try {
      yield received
      isLeft = false
    } finally {
      if (isLeft) {
        // First: what is given back to a consumer that still has our request comes here, where nobody reads it.
        this.close()
        if (this.#options.ack !== "manual") received.nak()
        for (let next = await rest.next(); next.done !== true; next = await rest.next()) giveBack(next.value)
      }
    }
    if (this.#options.ack !== "manual") received.ack()
  }

  #isOpen(): boolean {
    return !this.#isClosed && !this.#connection.isClosed()
  }

  async #fetch(): Promise<ConsumerMessages> {
    const { consumer, position } = await this.#ensure()
    this.#position = position
    this.#messages = await consumer.consume({
      max_messages: this.#options.prefetch ?? PREFETCH,
      idle_heartbeat: HEARTBEAT_MS,
      abort_on_missing_resource: true
    })
    if (this.#isClosed) this.#messages.stop()
    return this.#messages
  }

  #ensure(): Promise<Standing> {
    return this.#consumer.ensure((missed) => this.#report(missed))
  }

  async #receive(message: JsMsg): Promise<ReceivedEvent | null> {
    const position = this.#position
    const settled = () => position.settled(message.seq)
    position.delivered(message.seq)
    const read = readMessage(message)
    if (isBad(read)) {
      this.#bad++
      // Without the reason: servers before 2.10 heed no TERM that says more.
      message.term()
      settled()
      this.#call(() => this.#options.onBad?.(read))
      return null
    }
    if (!fits(this.#options, read)) {
      message.ack()
      settled()
      return null
    }
    const { verifier } = this.#options
    const verdict = verifier === undefined ? unverified("not_asked") : await verifier.verify(read)
    return new ReceivedEvent(read, verdict, message, settled)
  }

  #report(error: Error): void {
    if (this.#isOpen()) this.#call(() => this.#options.onTrouble?.(error))
  }

  /** A callback of the user's that throws stops nobody. */
  #call(callback: () => void): void {
    try {
      callback()
    } catch {
      // It is the callback's own loss: there is nobody to tell.
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

/**
 * Tree events by a durable consumer (docs/events.md). The connection is the caller's, of any transport of NATS; one that shall
 * outlast long outages is made with `maxReconnectAttempts: -1`.
 */
export const subscribe = (connection: NatsConnection, options: SubscribeOptions): Subscription =>
  new Subscription(connection, options)
