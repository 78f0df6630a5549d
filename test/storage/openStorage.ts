import { Effect, Layer, ManagedRuntime, Redacted } from "effect"
import { Database } from "../../src/storage/Database.ts"
import * as Pglite from "../../src/storage/Pglite.ts"
import * as Postgres from "../../src/storage/Postgres.ts"
import * as Storage from "../../src/storage/Storage.ts"
import * as EmbeddedCopy from "../harness/EmbeddedCopy.ts"

export const postgres = (url: string, options: Omit<Postgres.PostgresOptions, "url"> = {}) =>
  Storage.layer.pipe(Layer.provideMerge(Postgres.layer({ url: Redacted.make(url), ...options })))

export const pglite = (folder: string | null = null) => Storage.layer.pipe(Layer.provideMerge(Pglite.layer({ folder })))

/** Embedded, with the tables in place: what most tests need, in a third of the time that a new database takes. */
export const embedded = Storage.layer.pipe(Layer.provideMerge(EmbeddedCopy.layer))

export type OpenStorage = ManagedRuntime.ManagedRuntime<Storage.Stores | Database, unknown>

/** A storage for one test file; dispose it at the end. */
export const openStorage = (layer: ReturnType<typeof postgres>): OpenStorage => ManagedRuntime.make(layer)

/** SQL of a test's own, on the store's database. */
export const sql = (storage: OpenStorage, text: string) =>
  storage.runPromise(Effect.flatMap(Database, (database) => database.query({ name: "", text }, [])))

export const sealOn =
  (storage: OpenStorage) =>
  async (appId: string): Promise<void> => {
    await sql(storage, `insert into seals (app_id, operation) values ('${appId}', gen_random_uuid())`)
  }

/** The open storage as a layer, so that a suite shares it with SQL of its own. */
export const shared = (storage: OpenStorage) => Layer.effectContext(storage.contextEffect)
