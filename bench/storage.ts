import { join } from "node:path"
import { Layer, Redacted } from "effect"
import * as Pglite from "../src/storage/Pglite.ts"
import * as Postgres from "../src/storage/Postgres.ts"
import * as Storage from "../src/storage/Storage.ts"

/** The stores as trailsd has them: the same adapters with their default lanes and limits. */
export const storage = (options: { readonly databaseUrl: string | null; readonly dataDir: string }) =>
  Storage.layer.pipe(
    Layer.provide(
      options.databaseUrl === null
        ? Pglite.layer({ folder: join(options.dataDir, "pglite") })
        : Postgres.layer({ url: Redacted.make(options.databaseUrl) })
    )
  )
