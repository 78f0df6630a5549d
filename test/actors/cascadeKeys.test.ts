import { randomUUID } from "node:crypto"
import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { CascadeStore, type NewCascade } from "../../src/storage/CascadeStore.ts"
import { cancelOf } from "../storage/rows.ts"
import { Harness, layer as harnessLayer } from "./ActorHarness.ts"

layer(harnessLayer({}), { excludeTestServices: true })("keys of operations", (it) => {
  it.effect("the same key for something else is a conflict", () =>
    Effect.gen(function* () {
      const appId = randomUUID()
      yield* (yield* Harness).register({ appId })
      const store = yield* CascadeStore
      const asked = {
        ...cancelOf(randomUUID(), appId),
        action: "reload",
        filter: { a: 1, b: 2 },
        idempotencyKey: "k"
      }
      yield* store.begin(asked)
      const again = (patch: Partial<NewCascade>) => store.begin({ ...asked, id: randomUUID(), ...patch })
      expect(yield* again({ filter: { b: 2, a: 1 } })).toEqual({
        _tag: "Begun",
        id: asked.id,
        isNew: false,
        plan: null
      })
      const others: ReadonlyArray<Partial<NewCascade>> = [
        { action: "cancel" },
        { payload: "1" },
        { scope: "node" },
        { filter: null },
        { reason: "another" },
        { deadlineMs: 1000 },
        { graceMs: 1 }
      ]
      for (const patch of others) expect(yield* again(patch)).toEqual({ _tag: "Conflict" })
    })
  )
})
