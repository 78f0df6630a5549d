import type { Effect } from "effect"
import type { ReplicaStore } from "../storage/ReplicaStore.ts"
import type { StoreError } from "../storage/StoreError.ts"
import type { Telemetry } from "../Telemetry.ts"
import type { ChildSpec } from "./ChildSpec.ts"
import { duty } from "./Duty.ts"
import type { ReplicaLease } from "./ReplicaLease.ts"

/** Rows outside any partition go to the default one, so a late run loses nothing; it only costs a scan there. */
const INTERVAL = 10 * 60_000

/** Keeps the daily partitions of the log ahead of the clock; `ensure` is cheap when they exist. */
export const partitions = <R>(
  ensure: Effect.Effect<unknown, StoreError, R>
): ChildSpec<R | ReplicaLease | ReplicaStore | Telemetry> =>
  duty("partitions", { intervalMs: INTERVAL, ttlMs: 30_000, body: () => ensure })
