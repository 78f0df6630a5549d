import { Context, type Effect } from "effect"
import type { NodeState } from "../protocol/Frames.ts"
import type { StoreError } from "./StoreError.ts"

/**
 * Whom an operation is about. `node`: the node alone. `tree`: all below it too. `dependents`: those of its children, with all
 * below them, that shall not outlive it. `siblings`: its children but one, with all below them.
 */
export type CascadeScope = "node" | "tree" | "dependents" | "siblings"

/** What an operation is to do. */
export interface NewCascade {
  readonly id: string
  /** The node that it is about. */
  readonly appId: string
  /** `cancel`, or any other. */
  readonly action: string
  /** Exact JSON text; of a cancel it is made of reason and grace. */
  readonly payload: string
  readonly scope: CascadeScope
  /** Of `dependents` and `siblings`: the node whose end this follows from. */
  readonly origin: string | null
  readonly reason: string
  /** What each node gets at most, milliseconds. */
  readonly graceMs: number
  /** For all levels together, milliseconds; null: what the graces need. */
  readonly deadlineMs: number | null
  /** Only nodes whose tags contain these. */
  readonly filter: Readonly<Record<string, unknown>> | null
  readonly issuedBy: string
  /** The same one again of the same issuer at the same node is the same operation. */
  readonly idempotencyKey: string | null
  readonly traceparent: string | null
}

/**
 * What became of a node (PROTOCOL §8). `acked`: it did what it was asked; of a cancel also one that had not been started
 * yet. `forced`: it was told, and its grace ran out, or it said that it can't. `unreachable`: nobody could be told.
 * `already_terminal`: it had ended, or ended by itself. `refused`: an action other than cancel that it does not take.
 */
export type CascadeOutcome = "acked" | "refused" | "forced" | "unreachable" | "already_terminal"

export const CASCADE_OUTCOMES: ReadonlyArray<CascadeOutcome> = [
  "acked",
  "refused",
  "forced",
  "unreachable",
  "already_terminal"
]

/** Nodes by how far they are; they add up to `total`. */
export type CascadeCounts = Readonly<Record<"pending" | "asked" | CascadeOutcome, number>>

/** An operation, or with `id` null the plan of one. Times are epoch milliseconds of the database's clock. */
export interface CascadeRow extends Omit<NewCascade, "id" | "payload" | "traceparent" | "idempotencyKey"> {
  readonly id: string | null
  readonly appName: string
  readonly createdAt: number
  readonly finishedAt: number | null
  /** Levels that had something to be asked at the beginning, empty ones in between counted. */
  readonly levels: number
  /** The deepest one that is not through; null: all are. */
  readonly level: number | null
  readonly total: number
  readonly counts: CascadeCounts
}

export interface CascadeNode {
  readonly appId: string
  readonly parentId: string | null
  readonly appName: string
  /** From the node that the operation is about, which is 0. */
  readonly depth: number
  /** As it is now. */
  readonly status: NodeState
  readonly state: "pending" | "asked" | "resolved"
  readonly outcome: CascadeOutcome | null
  readonly graceMs: number
  readonly correlationId: string | null
  readonly askedAt: number | null
  readonly deliveredAt: number | null
  readonly resolvedAt: number | null
}

/** Where a page of nodes begins: behind this one. */
export interface CascadePlace {
  readonly depth: number
  readonly appId: string
}

/** The most operations that one issuer may have under way about one node; those of exit policies are not counted. */
export const OPEN_CASCADES = 100

export type Begun =
  /** `isNew` false: there is this one already. `plan`: as it was begun just now; null: by an earlier attempt. */
  | { readonly _tag: "Begun"; readonly id: string; readonly isNew: boolean; readonly plan: CascadeRow | null }
  /** The key was used for another one. */
  | { readonly _tag: "Conflict" }
  /** This issuer has `OPEN_CASCADES` under way about the node: nothing was begun. */
  | { readonly _tag: "Full" }

/** An operation that is not through. */
export interface RunningCascade {
  readonly id: string
  /** A step of it would change something. */
  readonly hasWork: boolean
}

/** A node whose actor has something to look at. */
export interface Touched {
  readonly appId: string
  readonly owner: string | null
  /** The node's, after that. */
  readonly epoch: number
}

/** A node's end with consequences for others (PROTOCOL §2 `supervision`). */
export interface Exit {
  /** Of its log row: where the reading has got to. */
  readonly id: number
  readonly appId: string
  readonly parentId: string | null
  readonly n: number
  /** Of a crash, or of one that never started. */
  readonly onCrash: "cancel_siblings" | "escalate" | null
  /** It has living children that shall not outlive it. */
  readonly hasDependents: boolean
}

/** What one round of the runner has done. */
export interface CascadeRound {
  /** There are commands for these. */
  readonly asked: ReadonlyArray<Touched>
  /** These were ended from outside. */
  readonly forced: ReadonlyArray<Touched>
  readonly isFinished: boolean
}

/**
 * Cascades (DESIGN §6): a plan, written together with the seal, and its progress. Nothing else remembers where an operation
 * stands, so that any replica goes on with it.
 */
export class CascadeStore extends Context.Service<
  CascadeStore,
  {
    /** null: no such node. */
    readonly begin: (cascade: NewCascade) => Effect.Effect<Begun | null, StoreError>
    /** What `begin` would plan; nothing is written. null: no such node. */
    readonly preview: (cascade: NewCascade) => Effect.Effect<CascadeRow | null, StoreError>
    readonly read: (id: string) => Effect.Effect<CascadeRow | null, StoreError>
    /** The newest first, of one node or all; `after` is the id of the last one before. */
    readonly list: (
      appId: string | null,
      after: string | null,
      limit: number
    ) => Effect.Effect<ReadonlyArray<CascadeRow>, StoreError>
    /** The deepest first. */
    readonly nodes: (
      id: string,
      outcome: CascadeOutcome | null,
      after: CascadePlace | null,
      limit: number
    ) => Effect.Effect<ReadonlyArray<CascadeNode>, StoreError>
    /** Of an operation that is through: asks those again who could not be told or have refused, unless they have ended. */
    readonly retry: (id: string) => Effect.Effect<void, StoreError>
    /** Operations that are not through, the oldest first; `after` is the id of the last one before. */
    readonly running: (after: string | null, limit: number) => Effect.Effect<ReadonlyArray<RunningCascade>, StoreError>
    /**
     * One step of an operation: notes who is through, ends whose grace is over, asks the next level once all below it are
     * through. Harmless when two do it at once.
     */
    readonly advance: (id: string) => Effect.Effect<CascadeRound, StoreError>
    /** Nobody could act on answers for a while: who has been asked gets the whole grace again, and a while to come back. */
    readonly grant: Effect.Effect<void, StoreError>
    /** The ends behind the log id `after` that have consequences, and up to which row was looked (`after`: there are no more). */
    readonly exits: (
      after: number,
      limit: number
    ) => Effect.Effect<{ readonly upTo: number; readonly exits: ReadonlyArray<Exit> }, StoreError>
  }
>()("trails/storage/CascadeStore") {}
