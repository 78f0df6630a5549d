import { randomUUID } from "node:crypto"
import { describe, expect, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { ActorSystem } from "../../src/actors/ActorSystem.ts"
import { CascadeStore, type NewCascade, OPEN_CASCADES } from "../../src/storage/CascadeStore.ts"
import { Database } from "../../src/storage/Database.ts"
import { StoreError } from "../../src/storage/StoreError.ts"
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

/** So many more operations like that one, which has been asked by them and has an hour. */
const crowd = Effect.fnUntraced(function* (id: string, count: number) {
  const text = `
with k as (
  insert into cascades (id, app_id, action, payload, scope, reason, grace_ms, margin_ms, issued_by, levels, total, created_at)
  select gen_random_uuid(), app_id, action, payload, scope, reason, ${HOUR}, 0, issued_by, 1, 1, created_at
  from cascades, generate_series(1, ${count}) where id = '${id}'
  returning id, app_id
)
insert into cascade_nodes (operation, app_id, depth, state, grace_ms, asked_at)
select id, app_id, 0, 'asked', ${HOUR}, now() from k`
  yield* (yield* Database).query({ name: "", text }, [])
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

/** Operations, or the nodes that they are about, whose statements the database refuses. */
const sick = new Set<string>()
/** How often graces were granted again. */
let granted = 0
const refusal = new StoreError({ reason: "Timeout", operation: "cascade", message: "canceling statement" })
const faulty = Layer.effect(
  CascadeStore,
  Effect.map(CascadeStore, (store) =>
    CascadeStore.of({
      ...store,
      advance: (id) => (sick.has(id) ? Effect.fail(refusal) : store.advance(id)),
      begin: (cascade) => (sick.has(cascade.appId) ? Effect.fail(refusal) : store.begin(cascade)),
      grant: Effect.tap(store.grant, () => Effect.sync(() => granted++))
    })
  )
)
const storage = target.pipe(Layer.provideMerge(faulty), Layer.provideMerge(harnessLayer({ disconnectGrace: 0 })))

layer(storage, { excludeTestServices: true })("the runner", (it) => {
  describe("an operation that fails", () => {
    it.effect("holds up no other, and goes on when it can", () =>
      Effect.gen(function* () {
        const store = yield* CascadeStore
        const bad = yield* begin(yield* born)
        sick.add(bad.id)
        const good = yield* begin(yield* born, { graceMs: 0 })
        yield* startRunner
        const isThrough = Effect.map(store.read(good.id), (row) => row?.counts.forced === 1)
        yield* until("the other is through, its hung node forced", isThrough)
        // At the first round of all; what fails is no outage.
        expect(granted).toBe(1)
        sick.clear()
        yield* until("it is asked", isAsked(bad.id))
      }).pipe(Effect.scoped)
    )
  })

  describe("many operations", () => {
    it.effect("that wait for an hour hold up no further one", () =>
      Effect.gen(function* () {
        const hung = yield* begin(yield* born, { action: "nap", graceMs: HOUR })
        yield* crowd(hung.id, 250)
        yield* startRunner
        const { id } = yield* begin(yield* born)
        yield* until("the last one is asked", isAsked(id))
      }).pipe(Effect.scoped)
    )

    it.effect("of one issuer about one node are bounded, those that follow from an end are not", () =>
      Effect.gen(function* () {
        const appId = yield* born
        const first = yield* begin(appId, { action: "nap", idempotencyKey: "first" })
        yield* crowd(first.id, OPEN_CASCADES - 1)
        expect((yield* begin(appId, { action: "nap" })).begun).toEqual({ _tag: "Full" })
        expect((yield* begin(appId, { action: "nap", idempotencyKey: "first" })).begun).toEqual({
          _tag: "Begun",
          id: first.id,
          isNew: false,
          plan: null
        })
        for (const patch of [{ issuedBy: "another" }, { origin: randomUUID(), scope: "siblings" }] as const)
          expect((yield* begin(appId, { action: "nap", ...patch })).begun).toMatchObject({ isNew: true })
        expect((yield* begin(yield* born)).begun).toMatchObject({ isNew: true })
      })
    )
  })
})
