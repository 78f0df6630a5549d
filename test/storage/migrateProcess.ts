// A first start: migrates the database of DATABASE_URL, makes its partitions, says so. Run by `Migrator.test.ts`.
import { Effect, Layer, Redacted } from "effect"
import { Partitions } from "../../src/storage/Partitions.ts"
import * as Postgres from "../../src/storage/Postgres.ts"
import * as Storage from "../../src/storage/Storage.ts"

const url = process.env["DATABASE_URL"]
if (url === undefined) throw new Error("DATABASE_URL is not set")

await Effect.runPromise(
  Effect.asVoid(Partitions).pipe(
    Effect.provide(
      Storage.layer.pipe(Layer.provideMerge(Postgres.layer({ url: Redacted.make(url), lanes: 1, pool: 2 })))
    )
  )
)
console.log("migrated")
