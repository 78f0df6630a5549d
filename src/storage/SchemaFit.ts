import { type Migration, newestOf } from "./Migration.ts"

/** A migration as the database remembers it. */
export interface Applied {
  readonly number: number
  readonly name: string
  readonly checksum: string
  /** As in `Migration`; null: of a version that did not say it. */
  readonly requires: number | null
}

/** A replica whose lease has not run out. */
export interface LivingReplica {
  readonly instance: string
  readonly version: string
  /** The newest migration that it knows; null: of a version that did not say it. */
  readonly schema: number | null
}

/** What keeps code that knows these migrations from running on this database, and what helps; null: nothing. */
export const misfit = (known: ReadonlyArray<Migration>, found: ReadonlyArray<Applied>): string | null => {
  const newest = newestOf(known)
  for (const { name, number, requires } of found) {
    const needed = requires ?? number
    if (number <= newest || needed <= newest) continue
    return (
      `the database is newer than this trailsd: its migration ${number} (${name}) is for versions that know ` +
      `migration ${needed}, this one knows up to ${newest}. Start a newer trailsd, or restore a backup of before its upgrade`
    )
  }
  const foreign = found.find(
    (row) => row.number <= newest && known.find(({ number }) => number === row.number)?.checksum !== row.checksum
  )
  if (foreign !== undefined) {
    return (
      `migration ${foreign.number} (${foreign.name}) in the database is not the one of this trailsd: the database ` +
      "belongs to another build. Start that build, or give this one a database of its own"
    )
  }
  const newer = found.find(({ number }) => number > newest)
  const missing = known.find((migration) => !found.some(({ number }) => number === migration.number))
  if (newer !== undefined && missing !== undefined) {
    return (
      `the database has migration ${newer.number} (${newer.name}) of a newer trailsd, and not ${missing.number} ` +
      `(${missing.name}): it belongs to another build. Start that build, or give this one a database of its own`
    )
  }
  return null
}

/** Why this migration can't be applied yet, and what to do; null: none of these replicas minds. */
export const hindrance = (next: Migration, living: ReadonlyArray<LivingReplica>): string | null => {
  const behind = living.filter(({ schema }) => (schema ?? 0) < next.requires)
  if (behind.length === 0) return null
  const names = behind.map(
    ({ instance, schema, version }) => `${instance} (${version}, ${schema === null ? "older" : `up to ${schema}`})`
  )
  return (
    `migration ${next.number} (${next.name}) has to wait: replicas run that don't know migration ${next.requires}: ` +
    `${names.join(", ")}. Nothing was changed. Upgrade these to a version in between first, or stop all replicas; one ` +
    "that was killed counts until its lease has run out. Then start this one again"
  )
}
