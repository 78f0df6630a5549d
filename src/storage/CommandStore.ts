import { Context, type Effect } from "effect"
import type { NodeState } from "../protocol/Frames.ts"
import type { Page } from "./NodeQueries.ts"
import type { StoreError } from "./StoreError.ts"

/** A command that waits to be told. */
export interface NewCommand {
  readonly appId: string
  readonly correlationId: string
  readonly action: string
  /** Exact JSON text. */
  readonly payload: string
  readonly issuedBy: string
  /** The same one again of the same issuer at the same node is the same command. */
  readonly idempotencyKey: string | null
  readonly traceparent: string | null
  /** Milliseconds in which it must have been answered. */
  readonly ttlMs: number
}

/** What has become of a command: `queued` until it was sent to a session, `expired` when nobody answered in time. */
export type CommandState = "queued" | "delivered" | "answered" | "expired"

/** A row of the queue (PROTOCOL §8). Times are epoch milliseconds of the database's clock. */
export interface CommandRow extends Omit<NewCommand, "ttlMs"> {
  /** Rises in the order of issue. */
  readonly id: number
  /** The cascade that it belongs to. */
  readonly operation: string | null
  readonly state: CommandState
  /** The session that was told last. */
  readonly session: string | null
  readonly issuedAt: number
  readonly expiresAt: number
  readonly deliveredAt: number | null
  readonly deliveries: number
  readonly answeredAt: number | null
  readonly ack: boolean | null
  /** Exact JSON text. */
  readonly result: string | null
  /** Of `expired`: "expired", or "ended" when its node has ended before. */
  readonly error: string | null
}

export type Sent =
  /** `owner`: the replica that holds its session, to be hinted; `epoch`: the node's. */
  | { readonly _tag: "Queued"; readonly row: CommandRow; readonly owner: string | null; readonly epoch: number }
  /** Its key was used before. */
  | { readonly _tag: "Known"; readonly row: CommandRow }
  | { readonly _tag: "Ended"; readonly status: NodeState }
  /** `MOST_COMMANDS` wait for it. */
  | { readonly _tag: "Full" }
  | { readonly _tag: "Unknown" }

export interface CommandName {
  readonly appId: string
  readonly correlationId: string
}

/** Which commands a session is to be told next. */
export interface OpenRequest {
  readonly appId: string
  /** What it has been told already is left out. */
  readonly session: string
}

/** The most commands without an answer that may wait for a node, when another one is sent; those of operations besides. */
export const MOST_COMMANDS = 1000

/** The most unanswered commands that one session holds. */
export const OPEN_COMMANDS = 64

/**
 * Bytes of payloads that a session is told at a time, and that one answer of the database holds: it goes on until there are
 * as many, so that it may be one command, of the answer one session's, more.
 */
export const OPEN_BYTES = 256 * 1024
export const OPEN_ANSWER_BYTES = 4 * 1024 * 1024

/** What sessions are to be told next. */
export interface Open {
  /** By node; whoever is not in it has been told everything. */
  readonly commands: ReadonlyMap<string, ReadonlyArray<CommandRow>>
  /** How many of the requests, from the first one on, this is the answer to: at least one, unless there are none. */
  readonly answered: number
}

/** The queue: the only way to tell a child anything (DESIGN §6). Answers and deliveries are written by `NodeStore.append`. */
export class CommandStore extends Context.Service<
  CommandStore,
  {
    readonly send: (command: NewCommand) => Effect.Effect<Sent, StoreError>
    /** null: this node has no such command. */
    readonly read: (appId: string, correlationId: string) => Effect.Effect<CommandRow | null, StoreError>
    /** Those of them that are through: answered, or expired. */
    readonly through: (commands: ReadonlyArray<CommandName>) => Effect.Effect<ReadonlyArray<CommandRow>, StoreError>
    /** The newest first; `after` is the `id` of the last one before. `open`: only those without an answer. */
    readonly list: (appId: string, page: Page, open: boolean) => Effect.Effect<ReadonlyArray<CommandRow>, StoreError>
    /**
     * Commands without an answer, the oldest first, at most `OPEN_COMMANDS` together with those that it has been told, and no
     * more than `OPEN_BYTES` and one command at a time.
     */
    readonly open: (requests: ReadonlyArray<OpenRequest>) => Effect.Effect<Open, StoreError>
    /** Nodes behind `after` whose session this boot holds, and has not been told all that it should have. */
    readonly untold: (
      boot: string,
      after: string | null,
      limit: number
    ) => Effect.Effect<ReadonlyArray<string>, StoreError>
    /** Ends at most `limit` commands whose time is over. Returns how many. */
    readonly expire: (limit: number) => Effect.Effect<number, StoreError>
    /** Ends the commands of nodes that have ended a while ago, by at most `limit` ends behind the log id `after`. */
    readonly expireEnded: (
      after: number,
      limit: number
    ) => Effect.Effect<{ readonly upTo: number; readonly more: boolean }, StoreError>
    /** The log id of an end behind which no end has been a while ago yet. */
    readonly lastEnd: Effect.Effect<number, StoreError>
    /** Ends at most `limit` commands of nodes that have ended a while ago, whenever that was. Returns how many. */
    readonly expireLeft: (limit: number) => Effect.Effect<number, StoreError>
  }
>()("trails/storage/CommandStore") {}
