import type { Statement } from "../Database.ts"

const ms = (parameter: string): string => `${parameter}::int8 * interval '1 millisecond'`

/** $1 boot, $2 instance, $3 version, $4 ttl. No row: the boot was reaped. */
export const renewReplica: Statement = {
  name: "replica.renew",
  text: `
insert into public.replicas (boot, instance, version, expires_at)
values ($1::uuid, $2::text, $3::text, now() + ${ms("$4")})
on conflict (boot) do update set renewed_at = now(), expires_at = excluded.expires_at
where replicas.reaped_at is null
returning boot`
}

/** $1 boot. */
export const releaseReplica: Statement = {
  name: "replica.release",
  text: `
update public.replicas set expires_at = least(expires_at, now()), reaped_at = now()
where boot = $1::uuid and reaped_at is null`
}

/** $1 the only living boot: the leases and the duties of all others end. */
export const expireOtherReplicas: Statement = {
  name: "replica.expire_others",
  text: `
with freed as (
  update public.leases set holder = null, expires_at = now() where holder <> $1::uuid
)
update public.replicas set expires_at = least(expires_at, now()), reaped_at = now()
where boot <> $1::uuid and reaped_at is null`
}

/** Epoch milliseconds. */
export const databaseNow: Statement = {
  name: "replica.now",
  text: `select (extract(epoch from now()) * 1000)::int8 as now`
}

/** $1 the boot that asks, $2 not after, epoch milliseconds. Answers the boots that it marked; a renewal at the same time wins or loses as a whole. */
export const reapExpiredReplicas: Statement = {
  name: "replica.reap",
  text: `
with forgotten as (
  delete from public.replicas where reaped_at < now() - interval '1 day'
)
update public.replicas set reaped_at = now()
where boot <> $1::uuid and reaped_at is null and expires_at <= now()
  and extract(epoch from now()) * 1000 <= $2::int8
returning boot`
}

/** $1 boots, a JSON array. Answers those that are reaped. */
export const reapedReplicas: Statement = {
  name: "replica.reaped",
  text: `
select boot from public.replicas
where boot in (select asked.id::uuid from jsonb_array_elements_text($1::jsonb) as asked(id)) and reaped_at is not null`
}

/** $1 boot, $2 ms. */
export const holdVerdicts: Statement = {
  name: "replica.hold_verdicts",
  text: `
update public.replicas set verdicts_held_until = greatest(verdicts_held_until, now() + ${ms("$2")})
where boot = $1::uuid and reaped_at is null`
}

/** $1 duty, $2 boot, $3 ttl. No row: somebody else holds it. */
export const holdDuty: Statement = {
  name: "duty.hold",
  text: `
insert into public.leases (duty, holder, expires_at)
values ($1::text, $2::uuid, now() + ${ms("$3")})
on conflict (duty) do update set holder = excluded.holder, expires_at = excluded.expires_at
where leases.holder is null or leases.holder = excluded.holder or leases.expires_at <= now()
returning cursor`
}

/** $1 duty, $2 boot, $3 cursor. No row: the boot does not hold it any more. A cursor never goes back. */
export const advanceDuty: Statement = {
  name: "duty.advance",
  text: `
update public.leases set cursor = greatest(cursor, $3::int8)
where duty = $1::text and holder = $2::uuid and expires_at > now()
returning cursor`
}

/** $1 duty, $2 boot. No row: the boot does not hold it any more. */
export const restartDuty: Statement = {
  name: "duty.restart",
  text: `
update public.leases set cursor = 0
where duty = $1::text and holder = $2::uuid and expires_at > now()
returning cursor`
}

/** $1 duty, $2 boot. */
export const releaseDuty: Statement = {
  name: "duty.release",
  text: "update public.leases set holder = null, expires_at = now() where duty = $1::text and holder = $2::uuid"
}
