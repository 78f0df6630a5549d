import { Context, type Effect } from "effect"
import type { StoreError } from "./StoreError.ts"

/** Whose key it is, and who is above whom (PROTOCOL §9). */
export class KeyDirectory extends Context.Service<
  KeyDirectory,
  {
    /** Nodes to which this key is bound at present; more than one may have the same. At most 100. */
    readonly holders: (publicKey: string) => Effect.Effect<ReadonlyArray<string>, StoreError>
    /** Which of these nodes is the other one, or above it, the nearest first; null: none, or there is no such node. */
    readonly nearest: (nodeIds: ReadonlyArray<string>, appId: string) => Effect.Effect<string | null, StoreError>
  }
>()("trails/storage/KeyDirectory") {}
