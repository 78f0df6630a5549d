import { randomUUID } from "node:crypto"
import { describe, expect, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { ActorSystem } from "../../src/actors/ActorSystem.ts"
import { CascadeStore, type NewCascade, OPEN_CASCADES } from "../../src/storage/CascadeStore.ts"
import { cascadeRunner } from "../../src/supervision/CascadeRunner.ts"
import { HintTarget } from "../../src/supervision/HintTarget.ts"
import { startSupervisor } from "../../src/supervision/Supervisor.ts"
import { cancelOf } from "../storage/rows.ts"
import { Harness, layer as harnessLayer } from "./ActorHarness.ts"

const HOUR = 3_600_000

const born = Effect.gen(function* () {
  const appId = randomUUID()
  yield* (yield* Harness).register({ appId })
  return appId
})

const begin = Effect.fnUntraced(function* (appId: string, patch: Partial<NewCascade> = {}) {
  const id = randomUUID()
  const begun = yield* (yield* CascadeStore).begin({ ...cancelOf(id, appId), ...patch })
  return { id, begun }
})

const until = Effect.fnUntraced(function* <R>(what: string, predicate: Effect.Effect<boolean, unknown, R>) {
  for (let i = 0; i < 3000; i++) {
    if (yield* predicate) return
    yield* Effect.sleep(10)
  }
  return yield* Effect.die(new Error(`waited in vain: ${what}`))
})

const startRunner = Effect.gen(function* () {
  return yield* startSupervisor({ name: "duties", strategy: "one_for_one", children: [yield* cascadeRunner] })
})

const isAsked = (id: string) =>
  Effect.gen(function* () {
    const row = yield* (yield* CascadeStore).read(id)
    return row !== null && row.counts.pending === 0
  })

const target = Layer.effect(
  HintTarget,
  Effect.map(ActorSystem, ({ hint }) => ({ hint }))
)
const storage = target.pipe(Layer.provideMerge(harnessLayer({ disconnectGrace: 0 })))

layer(storage, { excludeTestServices: true })("the runner", (it) => {
  describe("many operations", () => {
    it.effect("that wait for an hour hold up no further one", () =>
      Effect.gen(function* () {
        const hung = yield* born
        for (let i = 0; i < 2 * OPEN_CASCADES; i++)
          yield* begin(hung, { action: "nap", graceMs: HOUR, issuedBy: `issuer ${i}` })
        yield* startRunner
        const { id } = yield* begin(yield* born)
        yield* until("the last one is asked", isAsked(id))
      }).pipe(Effect.scoped)
    )

    it.effect("of one issuer about one node are bounded, those that follow from an end are not", () =>
      Effect.gen(function* () {
        const appId = yield* born
        const first = yield* begin(appId, { action: "nap", idempotencyKey: "first" })
        for (let i = 1; i < OPEN_CASCADES; i++) yield* begin(appId, { action: "nap" })
        expect((yield* begin(appId, { action: "nap" })).begun).toEqual({ _tag: "Full" })
        expect((yield* begin(appId, { action: "nap", idempotencyKey: "first" })).begun).toEqual({
          _tag: "Begun",
          id: first.id,
          isNew: false
        })
        for (const patch of [{ issuedBy: "another" }, { origin: randomUUID(), scope: "siblings" }] as const)
          expect((yield* begin(appId, { action: "nap", ...patch })).begun).toMatchObject({ isNew: true })
        expect((yield* begin(yield* born)).begun).toMatchObject({ isNew: true })
      })
    )
  })
})
