import { randomUUID } from "node:crypto"
import { afterAll, expect, it } from "vitest"
import { CascadeStore } from "../../src/storage/CascadeStore.ts"
import { CASCADE_BATCH } from "../../src/storage/sql/cascade/advance.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { openStorage, postgres, sql } from "./openStorage.ts"
import { cancelOf } from "./rows.ts"

/** Descendants of a root that has been at work for a year. */
const FINISHED = 100_000
/** Its children that live. */
const LIVING = 700

const database = await freshDatabase()
const storage = openStorage(postgres(database.url, { lanes: 1 }))
afterAll(async () => {
  await storage.dispose()
  await database.drop()
})

it(`a root with ${FINISHED.toLocaleString("en")} finished descendants and some that live: the plan is one statement, and those alone are asked, no more than can be told`, async () => {
  const root = randomUUID()
  const day = "trails.start_day(now())"
  const births = (ids: string, path: string, status: string) => `
    with ids as (${ids}),
    a as (insert into nodes (app_id, start_day, parent_id, app_name, namespace, level, role_refs, grants, supervision,
        start_deadline, scheduled_at)
      select id, ${day}, parent, 'n', 'default', 'open', '[]', '[]', '{"onParentExit": "abandon"}', 0, now() from ids),
    b as (insert into node_tree (app_id, parent_id, root_id, path) select id, parent, '${root}', ${path} from ids)
    insert into node_status (app_id, start_day, epoch, n, write_id, status, incarnation, last_seq, rebinds, session, owner)
    select id, ${day}, 1, 1, gen_random_uuid(), '${status}', 1, 0, 0,
      case when '${status}' = 'running' then gen_random_uuid() end, case when '${status}' = 'running' then gen_random_uuid() end
    from ids;`
  await sql(storage, births(`select '${root}'::uuid as id, null::uuid as parent`, "array[id]", "done"))
  const below = `array['${root}'::uuid, id]`
  await sql(
    storage,
    births(
      `select gen_random_uuid() as id, '${root}'::uuid as parent from generate_series(1, ${FINISHED})`,
      below,
      "done"
    )
  )
  await sql(
    storage,
    births(
      `select gen_random_uuid() as id, '${root}'::uuid as parent from generate_series(1, ${LIVING})`,
      below,
      "running"
    )
  )
  const store = await storage.runPromise(CascadeStore)
  const cascade = cancelOf(randomUUID(), root)
  await storage.runPromise(store.begin(cascade))
  const advance = () => storage.runPromise(store.advance(cascade.id))
  expect((await advance()).asked).toHaveLength(CASCADE_BATCH)
  // Nobody has told them yet.
  expect((await advance()).asked).toEqual([])
  expect(await storage.runPromise(store.read(cascade.id))).toMatchObject({
    total: FINISHED + LIVING + 1,
    levels: 2,
    counts: { already_terminal: FINISHED + 1, asked: CASCADE_BATCH, pending: LIVING - CASCADE_BATCH }
  })
  await sql(storage, "update control_queue set delivered_at = now()")
  expect((await advance()).asked).toHaveLength(LIVING - CASCADE_BATCH)
})
