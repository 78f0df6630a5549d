import { randomUUID } from "node:crypto"
import { Effect } from "effect"
import type { ControlFrame } from "../../src/protocol/Frames.ts"
import { CommandStore, type NewCommand } from "../../src/storage/CommandStore.ts"
import { Harness } from "./ActorHarness.ts"
import type { FakeSession } from "./FakeSession.ts"

/** What a session was told. */
export const controls = (session: FakeSession): ReadonlyArray<ControlFrame> =>
  session.sent.filter((frame): frame is ControlFrame => frame.type === "control")

export const actions = (session: FakeSession) => controls(session).map(({ action }) => action)

/** Puts a command into the queue, and hints nobody. */
export const send = Effect.fnUntraced(function* (appId: string, patch: Partial<NewCommand> = {}) {
  const store = yield* CommandStore
  const correlationId = randomUUID()
  const sent = yield* store.send({
    appId,
    correlationId,
    action: "set_rate",
    payload: '{"hz":12345678901234567890}',
    issuedBy: "admin",
    idempotencyKey: null,
    traceparent: null,
    ttlMs: 60_000,
    ...patch
  })
  return { correlationId: patch.correlationId ?? correlationId, sent }
})

export const read = Effect.fnUntraced(function* (appId: string, correlationId: string) {
  const row = yield* (yield* CommandStore).read(appId, correlationId)
  return row === null ? yield* Effect.die(new Error(`no command ${correlationId}`)) : row
})

/** A node with a session. */
export const born = Effect.fnUntraced(function* () {
  const harness = yield* Harness
  const appId = randomUUID()
  const { session } = yield* harness.register({ appId })
  return { appId, harness, session }
})
