import type { Statement } from "../Database.ts"

/** $1 status, $2 namespace, $3 parent, $4 roots only, $5 name: null = any. $6 id to start after, $7 limit. */
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
order by app_id limit $7::int4`
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
