import { makeEmbeddedTemplate } from "./EmbeddedTemplate.ts"
import { Postgres } from "./Postgres.ts"

/**
 * One Postgres for the whole run. Every test that needs one finds it in `TRAILS_TEST_DATABASE_URL` (a superuser, so
 * that a test file can make a database of its own); where it cannot be had, the run fails here instead of skipping.
 * And one embedded database, of which the servers of the tests get copies.
 */
export default async function setup(): Promise<() => Promise<void>> {
  const [postgres, removeTemplate] = await Promise.all([Postgres.create(), makeEmbeddedTemplate()])
  process.env["TRAILS_TEST_DATABASE_URL"] = postgres.url
  return async () => {
    removeTemplate()
    await postgres.dispose()
  }
}
