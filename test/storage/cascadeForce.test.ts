import { randomUUID } from "node:crypto"
import { afterAll, expect, it } from "vitest"
import { CascadeStore } from "../../src/storage/CascadeStore.ts"
import { FORCED_BATCH } from "../../src/storage/sql/cascade/advance.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { openStorage, postgres, sql } from "./openStorage.ts"
import { cancelOf } from "./rows.ts"

const LOST = 2 * FORCED_BATCH + 50

const database = await freshDatabase()
const storage = openStorage(postgres(database.url, { lanes: 1 }))
afterAll(async () => {
  await storage.dispose()
  await database.drop()
})

it("one step ends all who are out of patience, in several statements, once each", async () => {
  const root = randomUUID()
  const day = "trails.start_day(now())"
  await sql(
    storage,
    `
    with ids as (
      select '${root}'::uuid as id, null::uuid as parent, array['${root}'::uuid] as path
      union all
      select id, '${root}'::uuid, array['${root}'::uuid, id] from (
        select gen_random_uuid() as id from generate_series(1, ${LOST})) c
    ), a as (insert into nodes (app_id, start_day, parent_id, app_name, namespace, level, role_refs, grants, supervision,
        start_deadline, scheduled_at)
      select id, ${day}, parent, 'n', 'default', 'open', '[]', '[]', '{"onParentExit": "abandon"}', 0, now() from ids
    ), b as (insert into node_tree (app_id, parent_id, root_id, path) select id, parent, '${root}', path from ids)
    insert into node_status (app_id, start_day, epoch, n, write_id, status, incarnation, last_seq, rebinds)
    select id, ${day}, 1, 1, gen_random_uuid(), 'lost_contact', 1, 0, 0 from ids`
  )
  const store = await storage.runPromise(CascadeStore)
  const id = randomUUID()
  await storage.runPromise(store.begin(cancelOf(id, root)))
  const advance = () => storage.runPromise(store.advance(id))
  expect((await advance()).asked).toHaveLength(LOST)
  expect((await advance()).forced).toEqual([])
  await sql(storage, "update cascade_nodes set asked_at = asked_at - interval '1 hour' where state = 'asked'")
  const { asked, forced } = await advance()
  expect(new Set(forced.map(({ appId }) => appId)).size).toBe(LOST)
  expect(forced).toHaveLength(LOST)
  expect(asked).toMatchObject([{ appId: root }])
  expect(
    await sql(
      storage,
      "select count(*)::int4 as count from node_log where kind = 'cancelled' and data ->> 'outcome' = 'unreachable'"
    )
  ).toEqual([{ count: LOST }])
})
