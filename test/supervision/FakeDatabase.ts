import { Effect, Layer } from "effect"
import { Database } from "../../src/storage/Database.ts"
import { StoreError } from "../../src/storage/StoreError.ts"

export const away = (operation: string): StoreError =>
  new StoreError({ reason: "Unavailable", operation, message: "the database is away" })

export type Condition = "answers" | "refuses" | "hangs"

/** A database of which only the pings are looked at. */
export class FakeDatabase {
  condition: Condition = "answers"
  pings = 0
  readonly kind: "postgres" | "pglite"

  constructor(kind: "postgres" | "pglite" = "postgres") {
    this.kind = kind
  }

  /** What any operation meets in this condition. */
  readonly meet = <A>(operation: string, answer: () => A): Effect.Effect<A, StoreError> =>
    Effect.suspend((): Effect.Effect<A, StoreError> => {
      if (this.condition === "hangs") return Effect.never
      return this.condition === "refuses" ? Effect.fail(away(operation)) : Effect.sync(answer)
    })

  get layer(): Layer.Layer<Database> {
    return Layer.succeed(Database, {
      kind: this.kind,
      query: () => Effect.succeed([]),
      transaction: () => Effect.die("not in these tests"),
      lanes: [],
      ping: this.meet("ping", () => {
        this.pings++
      })
    })
  }
}
