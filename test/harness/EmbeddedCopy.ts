import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Layer } from "effect"
import type { Database } from "../../src/storage/Database.ts"
import * as Pglite from "../../src/storage/Pglite.ts"
import type { StoreError } from "../../src/storage/StoreError.ts"
import { copyEmbeddedTemplate, databaseOf } from "./EmbeddedTemplate.ts"

/** An embedded database of its own that begins with the template's, migrated already; its folder goes with it. */
export const layer: Layer.Layer<Database, StoreError> = Layer.unwrap(
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const folder = mkdtempSync(join(tmpdir(), "trails-embedded-"))
        copyEmbeddedTemplate(join(folder, "data"))
        return folder
      }),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
    ),
    (folder) => Pglite.layer({ folder: databaseOf(join(folder, "data")) })
  )
)
