import { Context, type Effect } from "effect"
import type { StoreError } from "./StoreError.ts"

export interface ReplicaInfo {
  /** UUID of this boot. */
  readonly boot: string
  /** SERVER_INSTANCE, a display name. */
  readonly instance: string
  readonly version: string
}

/** Lease rows per boot (`replicas`) and per duty (`leases`), DESIGN §2 and §4. Times are the database's. */
export class ReplicaStore extends Context.Service<
  ReplicaStore,
  {
    /** Inserts or renews the boot's lease for `ttlMs` from now. False when this boot's row was reaped: step down. */
    readonly renew: (replica: ReplicaInfo, ttlMs: number) => Effect.Effect<boolean, StoreError>
    /** Ends the lease on a clean stop. */
    readonly release: (boot: string) => Effect.Effect<void, StoreError>
    /**
     * PGlite only: whoever else is in the table is dead, since this process holds the folder's lock. Their duties end too.
     */
    readonly expireOthers: (boot: string) => Effect.Effect<void, StoreError>
    /** Epoch milliseconds by the database's clock. */
    readonly now: Effect.Effect<number, StoreError>
    /**
     * Marks every boot but `boot` whose lease has expired as reaped, so that its own later `renew` answers false; forgets
     * rows reaped more than a day ago. Returns the boots that this call marked. None after `notAfter` (`now`): a statement that
     * the network has held up until others' leases ran out proves nothing.
     */
    readonly reapExpired: (boot: string, notAfter: number) => Effect.Effect<ReadonlyArray<string>, StoreError>
    /** Of these boots, those that are reaped or released: none of them ever holds a lease again. */
    readonly reaped: (boots: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<string>, StoreError>
    /**
     * For `ms` from now no replica finds nodes due for a verdict from silence (`NodeStore.due`): this boot keeps some from
     * coming back. Never shortens what it said before. Ends with the boot's lease.
     */
    readonly holdVerdicts: (boot: string, ms: number) => Effect.Effect<void, StoreError>
    /** Takes or renews a duty. The holder's cursor comes along. False: somebody else holds it. */
    readonly holdDuty: (
      duty: string,
      boot: string,
      ttlMs: number
    ) => Effect.Effect<{ readonly held: boolean; readonly cursor: number }, StoreError>
    /** Moves the duty's cursor forward; never back. False: this boot does not hold the duty any more. */
    readonly advanceDuty: (duty: string, boot: string, cursor: number) => Effect.Effect<boolean, StoreError>
    /** Sets the duty's cursor to 0, for a reader that has to begin anew. False: this boot does not hold the duty any more. */
    readonly restartDuty: (duty: string, boot: string) => Effect.Effect<boolean, StoreError>
    readonly releaseDuty: (duty: string, boot: string) => Effect.Effect<void, StoreError>
  }
>()("trails/storage/ReplicaStore") {}
