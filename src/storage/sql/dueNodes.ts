import type { Statement } from "../Database.ts"

/** $1 limit, $2 only this status, $3 only deadlines younger than so many ms; null: all. */
export const dueNodes: Statement = {
  name: "node.due",
  text: `
select app_id as "appId", status, owner
from public.node_status
where state_deadline_at is not null and state_deadline_at <= now()
  and ($2::text is null or status = $2::text)
  and (status = 'scheduled' or not exists (
    select from public.replicas where verdicts_held_until > now() and reaped_at is null
  ))
  and ($3::float8 is null or state_deadline_at > now() - $3::float8 * interval '1 millisecond')
order by state_deadline_at limit $1::int4`
}
