import { Context, Effect, Layer } from "effect"
import { Database } from "./Database.ts"
import { makePartitions } from "./sql/makePartitions.ts"
import { vacuumChanging } from "./sql/vacuumChanging.ts"
import type { StoreError } from "./StoreError.ts"

/** Partitions ahead of time. What arrives outside of any falls into the default one, so that a late call loses nothing. */
export class Partitions extends Context.Service<
  Partitions,
  {
    /**
     * Makes those of today and the next week that are missing; cheap when none is, safe side by side. Returns how many.
     * On PGlite, where nothing vacuums by itself, it also vacuums the tables whose rows change.
     */
    readonly ensure: Effect.Effect<number, StoreError>
  }
>()("trails/storage/Partitions") {
  static readonly layer: Layer.Layer<Partitions, never, Database> = Layer.effect(
    this,
    Effect.gen(function* () {
      const database = yield* Database
      const makeOne = Effect.map(database.query(makePartitions, [DAYS_AHEAD]), (rows) => rows[0]?.["made"] as number)
      const make = Effect.gen(function* () {
        let made = 0
        for (let more = yield* makeOne; more > 0; more = yield* makeOne) made += more
        return made
      })
      return {
        ensure: database.kind === "pglite" ? Effect.tap(make, () => database.query(vacuumChanging, [])) : make
      }
    })
  )
}

const DAYS_AHEAD = 7
