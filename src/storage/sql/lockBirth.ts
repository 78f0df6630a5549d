import type { Statement } from "../Database.ts"
import { treeKey } from "./locks.ts"

const text = (strength: string): string => `
with tree as materialized (
  select t.root_id, pg_advisory_xact_lock_shared(${treeKey("t.root_id")}) from public.node_tree t where t.app_id = $1::uuid
)
select s.app_id, tree.root_id
from tree, public.node_status s
where s.app_id in ($1::uuid, $2::uuid)
order by s.app_id
for ${strength} of s`

/**
 * $1 parent, $2 the replaced node or null. A birth's first statement: the tree's lock (shared), then the rows. What is
 * decided upon is read by the next statement, whose snapshot is taken under these locks: a seal that was made while
 * this one waited is seen there, and is missed here (DESIGN §4).
 */
export const lockBirth: Statement = { name: "birth.lock", text: text("share") }

/** The replaced node is going to be written: the stronger lock at once, since raising it later may deadlock. */
export const lockReplacement: Statement = { name: "birth.lock.replacement", text: text("no key update") }
