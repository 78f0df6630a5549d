import { Context, type Effect } from "effect"
import type { StoreError } from "./StoreError.ts"

/** Whose key it is, and who is above whom (PROTOCOL §9). */
export class KeyDirectory extends Context.Service<
  KeyDirectory,
  {
    /** A node to which this key is bound at present, of several any one; null: there is none. */
    readonly holder: (publicKey: string) => Effect.Effect<string | null, StoreError>
    /** The node itself if the key is bound to it, or the nearest above it that has it; null: none, or no such node. */
    readonly nearest: (publicKey: string, appId: string) => Effect.Effect<string | null, StoreError>
  }
>()("trails/storage/KeyDirectory") {}
