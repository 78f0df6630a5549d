import type { Effect } from "effect"
import type { StoreError } from "../../storage/StoreError.ts"
import type { NodeEnvironment } from "./NodeEnvironment.ts"
import { persist } from "./persist.ts"

/** What a node did, or was not let do, under its own name. */
export const audit = (
  env: NodeEnvironment,
  appId: string,
  action: string,
  decision: "allow" | "deny",
  reason: string,
  data: Readonly<Record<string, unknown>> | null = null
): Effect.Effect<void, StoreError> => {
  if (decision === "deny") env.telemetry.auditDenies.add()
  return persist(
    env.audit.record({ actor: `node:${appId}`, action, appId, decision, reason, correlationId: null, data })
  )
}
