/**
 * Advisory locks of trails, two-key form: (8432071, x), and per tree by hash. Order in every transaction: a tree's lock
 * first, rows of `node_status` by app_id, the log's turn last.
 */
const SPACE = 8432071

/** Held from before the first log id is drawn until the commit: ids become visible in their order (DESIGN §4). */
export const LOG_TURN = `pg_advisory_xact_lock(${SPACE}, 1)`

/** SQL for the key of a tree's lock. */
export const treeKey = (rootId: string): string => `hashtextextended(${rootId}::text, ${SPACE})`
