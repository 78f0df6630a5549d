import type { Statement } from "../Database.ts"
import { treeKey } from "./locks.ts"

/**
 * $1 root. Births take it shared, a seal and a re-parenting exclusive (DESIGN §4): what such a transaction reads in a
 * later statement cannot change under it.
 */
export const lockTreeShared: Statement = {
  name: "tree.lock.shared",
  text: `select pg_advisory_xact_lock_shared(${treeKey("$1::uuid")})`
}

export const lockTreeExclusive: Statement = {
  name: "tree.lock.exclusive",
  text: `select pg_advisory_xact_lock(${treeKey("$1::uuid")})`
}
