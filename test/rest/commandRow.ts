import { randomUUID } from "node:crypto"
import type { CommandRow } from "../../src/storage/CommandStore.ts"
import { ID } from "./RestFixture.ts"

/** A command as the queue has it. */
export const commandRow = (patch: Partial<CommandRow> = {}): CommandRow => ({
  id: 1,
  appId: ID,
  correlationId: randomUUID(),
  action: "reload",
  payload: "null",
  issuedBy: "anonymous",
  idempotencyKey: null,
  traceparent: null,
  operation: null,
  state: "queued",
  session: null,
  issuedAt: 1_790_000_000_000,
  expiresAt: 1_790_000_300_000,
  deliveredAt: null,
  deliveries: 0,
  answeredAt: null,
  ack: null,
  result: null,
  error: null,
  ...patch
})
