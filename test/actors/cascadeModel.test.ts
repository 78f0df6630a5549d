import { describe, expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { seeded } from "../harness/Random.ts"
import { layer as makeLayer } from "./ActorHarness.ts"
import { runModel } from "./cascadeModel.ts"

/** `npm run test:cascade` runs 10,000. */
const TREES = 60

layer(makeLayer({ disconnectGrace: 0, reconnectWindow: 0 }), { excludeTestServices: true })(
  "cascades on random trees",
  (it) => {
    describe("PROTOCOL §8", () => {
      it.effect(`${TREES} of them end as a small model says`, () =>
        Effect.gen(function* () {
          for (let seed = 0; seed < TREES; seed++) {
            const problems = yield* runModel(seeded(seed))
            expect(problems, `seed ${seed}`).toEqual([])
          }
        })
      )
    })
  }
)
