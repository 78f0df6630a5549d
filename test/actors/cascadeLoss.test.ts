import { randomUUID } from "node:crypto"
import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { CascadeStore, type NewCascade } from "../../src/storage/CascadeStore.ts"
import { CommandStore } from "../../src/storage/CommandStore.ts"
import { Database } from "../../src/storage/Database.ts"
import { cancelOf } from "../storage/rows.ts"
import { Harness, layer as harnessLayer } from "./ActorHarness.ts"
import type { FakeSession } from "./FakeSession.ts"

const born = Effect.fnUntraced(function* () {
  const appId = randomUUID()
  const { session } = yield* (yield* Harness).register({ appId })
  return { appId, session }
})

const begin = Effect.fnUntraced(function* (appId: string, patch: Partial<NewCascade>) {
  const id = randomUUID()
  yield* (yield* CascadeStore).begin({ ...cancelOf(id, appId), ...patch })
  return id
})

/** One round, and its hints. */
const advance = Effect.fnUntraced(function* (id: string) {
  const harness = yield* Harness
  const round = yield* (yield* CascadeStore).advance(id)
  for (const { appId } of round.asked) yield* harness.hint(appId, "Commanded")
  return round
})

const outcomeOf = Effect.fnUntraced(function* (id: string) {
  const [node] = yield* (yield* CascadeStore).nodes(id, null, null, 1)
  return node
})

const controls = (session: FakeSession) => session.sent.filter(({ type }) => type === "control")

/** As if all that has happened so far had happened so much earlier, milliseconds. */
const later = Effect.fnUntraced(function* (id: string, appId: string, ms: number) {
  const by = `interval '${ms} milliseconds'`
  const text = `
update cascades set created_at = created_at - ${by}, started_at = started_at - ${by} where id = '${id}';
update cascade_nodes set asked_at = asked_at - ${by} where operation = '${id}';
update control_queue set issued_at = issued_at - ${by}, delivered_at = delivered_at - ${by}, told_at = told_at - ${by},
  expires_at = expires_at - ${by} where operation = '${id}';
update node_status set connected_at = connected_at - ${by}, disconnected_at = disconnected_at - ${by}
where app_id = '${appId}'`
  yield* (yield* Database).query({ name: "", text }, [])
})

layer(harnessLayer({ disconnectGrace: 0, reconnectWindow: 60_000 }), { excludeTestServices: true })(
  "a node that is lost in the middle of a cascade (docs/protocol.md §13)",
  (it) => {
    it.effect("one that we have lost has its whole grace again from when it is told again, twice and no more", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const { appId, session } = yield* born()
        const id = yield* begin(appId, { graceMs: 60_000 })
        yield* advance(id)
        // Seconds before and behind the end of the grace and its second of margin: the test takes time of its own.
        let current = session
        for (let times = 0; times < 2; times++) {
          yield* later(id, appId, 58_000)
          expect(yield* advance(id)).toMatchObject({ forced: [] })
          yield* harness.lose(current, appId, "server")
          yield* later(id, appId, 4500)
          expect(yield* advance(id)).toMatchObject({ forced: [] })
          current = (yield* harness.reRegister({ appId })).session
          expect(controls(current)).toHaveLength(1)
        }
        yield* later(id, appId, 58_000)
        expect(yield* advance(id)).toMatchObject({ forced: [] })
        yield* harness.lose(current, appId, "server")
        yield* later(id, appId, 4500)
        expect(yield* advance(id)).toMatchObject({ forced: [{ appId }], isFinished: true })
      })
    )

    it.effect("one that we have lost and that does not come back is not waited for much longer", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const { appId, session } = yield* born()
        const id = yield* begin(appId, { graceMs: 20_000 })
        yield* advance(id)
        yield* later(id, appId, 20_500)
        yield* harness.lose(session, appId, "server")
        yield* later(id, appId, 5600)
        expect(yield* advance(id)).toMatchObject({ forced: [{ appId }] })
      })
    )

    it.effect("over an outage: an action's command is good as long as it is waited for, and is over with that", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const store = yield* CascadeStore
        const { appId, session } = yield* born()
        yield* harness.lose(session, appId, "server")
        const id = yield* begin(appId, { action: "reload", graceMs: 1000 })
        yield* advance(id)
        yield* later(id, appId, 600_000)
        expect(yield* (yield* CommandStore).expire(10)).toBe(1)
        yield* store.grant
        expect(yield* advance(id)).toMatchObject({ isFinished: false })
        const back = yield* harness.reRegister({ appId })
        expect(controls(back.session)).toMatchObject([{ action: "reload" }])
        yield* later(id, appId, 30_000)
        yield* advance(id)
        expect((yield* outcomeOf(id))?.outcome).toBe("unreachable")
        const command = yield* (yield* CommandStore).read(appId, (yield* outcomeOf(id))!.correlationId!)
        expect(command).toMatchObject({ state: "expired", error: "expired" })
        const again = yield* harness.reRegister({ appId })
        expect(controls(again.session)).toEqual([])
      })
    )
  }
)
