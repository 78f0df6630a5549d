import { randomUUID } from "node:crypto"
import pg from "pg"

export interface FreshDatabase {
  readonly url: string
  readonly name: string
  readonly drop: () => Promise<void>
}

/** One statement on the given database, as a superuser, on a connection of its own. */
const once = async (url: string, sql: string): Promise<void> => {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  client.on("error", () => undefined)
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}

/** An empty database of its own for one test file, on the run's Postgres. */
export const freshDatabase = async (): Promise<FreshDatabase> => {
  const server = process.env["TRAILS_TEST_DATABASE_URL"]
  if (server === undefined)
    throw new Error("TRAILS_TEST_DATABASE_URL is not set: run the tests by vitest's configuration")
  const name = `trails_${randomUUID().replaceAll("-", "").slice(0, 16)}`
  await once(server, `create database ${name}`)
  const url = new URL(server)
  url.pathname = `/${name}`
  return { url: url.href, name, drop: () => once(server, `drop database if exists ${name} with (force)`) }
}
