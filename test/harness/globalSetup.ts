import { Postgres } from "./Postgres.ts"

/**
 * One Postgres for the whole run. Every test that needs one finds it in `TRAILS_TEST_DATABASE_URL` (a superuser, so
 * that a test file can make a database of its own); where it cannot be had, the run fails here instead of skipping.
 */
export default async function setup(): Promise<() => Promise<void>> {
  const postgres = await Postgres.create()
  process.env["TRAILS_TEST_DATABASE_URL"] = postgres.url
  return () => postgres.dispose()
}
