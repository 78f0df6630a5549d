import type { Statement } from "../Database.ts"
import { ENDED_STATES } from "./endedStates.ts"

/**
 * $1 status, $2 namespace, $3 parent, $4 roots only, $5 name: null = any. $6 id to start after, $7 limit; $8, $9: least
 * and greatest id, null = none. They are compared without an `or`, so that a plan for any of them walks a range of keys.
 */
export const listApps: Statement = {
  name: "apps.list",
  text: `
select * from public.apps
where ($1::text is null or status = $1::text)
  and ($2::text is null or namespace = $2::text)
  and ($3::uuid is null or parent_id = $3::uuid)
  and (not $4::boolean or parent_id is null)
  and ($5::text is null or app_name = $5::text)
  and ($6::uuid is null or app_id > $6::uuid)
  and app_id >= coalesce($8::uuid, '00000000-0000-0000-0000-000000000000')
  and app_id <= coalesce($9::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
order by app_id limit $7::int4`
}

/**
 * $1 status, $2 namespace, $3 name: null = any. $4 id to start after, $5 limit; $6, $7: least and greatest id. Roots,
 * newest first: backwards over `node_tree_birth`.
 */
export const newestRoots: Statement = {
  name: "apps.newest",
  text: `
select a.*
from public.node_tree t join public.apps a on a.app_id = t.app_id
where t.parent_id is null
  and ($1::text is null or a.status = $1::text)
  and ($2::text is null or a.namespace = $2::text)
  and ($3::text is null or a.app_name = $3::text)
  and t.app_id between coalesce($6::uuid, '00000000-0000-0000-0000-000000000000')
    and coalesce($7::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
  and (t.valid_from, t.app_id) < (
    coalesce((select c.valid_from from public.node_tree c where c.app_id = $4::uuid), 'infinity'),
    coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
order by t.parent_id desc, t.valid_from desc, t.app_id desc limit $5::int4`
}

/** $1 id. */
export const oneApp: Statement = { name: "apps.one", text: "select * from public.apps where app_id = $1::uuid" }

/** $1 parent, $2 id to start after, $3 limit. */
export const childApps: Statement = {
  name: "apps.children",
  text: `
select * from public.apps
where parent_id = $1::uuid and ($2::uuid is null or app_id > $2::uuid)
order by app_id limit $3::int4`
}

/** $1 id to start below, $2 limit: newest first. */
export const listCrashes: Statement = {
  name: "crashes.list",
  text: `
select * from public.crashes
where id < coalesce($1::int8, 9223372036854775807)
order by id desc limit $2::int4`
}

/** $1 id. */
export const birthOfApp: Statement = {
  name: "apps.birth",
  text: `
select d.envelope, s.status
from public.node_status s
join public.nodes d on d.app_id = any (array[s.app_id]) and d.start_day = s.start_day
where s.app_id = $1::uuid`
}

/**
 * $1 id to start after, $2 limit. Nodes that live although an ancestor has ended, with the nearest of those: found among the
 * living alone, by the partial indexes of those.
 */
export const orphans: Statement = {
  name: "apps.orphans",
  text: `
with living as materialized (
  select s.app_id from public.node_status s where s.owner is not null and s.status in ('connected', 'running')
  union all
  select s.app_id from public.node_status s where s.state_deadline_at is not null and s.status = 'reconnecting'
), found as materialized (
  select l.app_id, e.ancestor
  from living l
  join public.node_tree t on t.app_id = any (array[l.app_id])
  cross join lateral (
    select jsonb_build_object('app_id', s.app_id, 'app_name', d.app_name, 'status', s.status, 'ended_at', s.ended_at)
      as ancestor
    from unnest(t.path) with ordinality as p(id, depth)
    join public.node_status s on s.app_id = any (array[p.id])
    join public.nodes d on d.app_id = any (array[s.app_id]) and d.start_day = s.start_day
    where p.id <> t.app_id and s.status in (${ENDED_STATES})
    order by p.depth desc limit 1
  ) e
  where $1::uuid is null or l.app_id > $1::uuid
  order by l.app_id limit $2::int4
)
select a.*, f.ancestor as ended_ancestor
from found f join public.apps a on a.app_id = f.app_id
order by a.app_id`
}
