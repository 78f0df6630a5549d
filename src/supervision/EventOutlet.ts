import { Context, Data, Effect, Layer } from "effect"
import type { TreeLogRow } from "../storage/TreeLog.ts"

/** Where an event has to come to stand: directly behind the stream's last message, which is known by one of these. */
export type Anchor =
  | { readonly _tag: "Sequence"; readonly last: number }
  /** Of an event that this publisher has just seen stored. */
  | { readonly _tag: "Event"; readonly id: string }

/**
 * What became of one event.
 * - `stored`: it is in the stream, by this attempt or by an earlier one.
 * - `misplaced`: not stored, since something else stands where its anchor should.
 * - `unfit`: not stored, and never will be as it is: it is too large.
 * - `unknown`: no answer, or one that says nothing about the event. It may be there.
 */
export type Fate =
  | { readonly _tag: "stored" }
  | { readonly _tag: "misplaced" }
  | { readonly _tag: "unfit"; readonly why: string }
  | { readonly _tag: "unknown"; readonly why: string }

/** An event ready to be sent; what it is made of is the outlet's. */
export interface EventMessage {
  /** `<appId>:<n>` */
  readonly id: string
  /** The log row's id. */
  readonly cursor: number
  readonly subject: string
  readonly body: Uint8Array
  /** It was made without the row's frame already. */
  readonly bare: boolean
}

/** Why nothing can be published now; none of it is an event's fault. */
export class OutletAway extends Data.TaggedError("OutletAway")<{
  readonly reason: "away" | "no_jetstream" | "refused"
  /** One line for the operator, with the remedy where there is one. */
  readonly message: string
}> {}

/** A stream that takes events. */
export interface OpenOutlet {
  /** Its last message's; 0: nothing was ever stored in it. */
  readonly lastSequence: number
  /** Fails with a reason that is the row's own. `bare`: without the frame, whatever its size. */
  readonly render: (row: TreeLogRow, bare: boolean) => EventMessage | { readonly unfit: string }
  /**
   * Sends them in this order without waiting in between, the first behind the anchor and every other one directly behind
   * the one before it, or not at all. One fate per message.
   */
  readonly publish: (messages: ReadonlyArray<EventMessage>, anchor: Anchor) => Effect.Effect<ReadonlyArray<Fate>>
}

/** Where tree events are published, for whoever subscribes outside of trailsd (PROTOCOL §11). */
export class EventOutlet extends Context.Service<
  EventOutlet,
  {
    /** Whether there is a connection at all: without one another replica may do better. */
    readonly reachable: () => boolean
    /** Makes the stream where there is none, and brings its configuration up to the settings. */
    readonly open: Effect.Effect<OpenOutlet, OutletAway>
  }
>()("trails/supervision/EventOutlet") {
  /** For a server that has no NATS. */
  static readonly none: Layer.Layer<EventOutlet> = Layer.succeed(this, {
    reachable: () => false,
    open: Effect.fail(new OutletAway({ reason: "away", message: "NATS_URL is not set" }))
  })
}
