import type { Statement } from "../Database.ts"
import { LOG_COLUMNS } from "./logEntries.ts"

/** A reader's answer stays below this many bytes of frames, or is one row. */
const BUDGET = 8 * 1024 * 1024

const text = (where: string, order: string, limit: string): string => `
select ${LOG_COLUMNS}
from (
  select l.*, sum(coalesce(octet_length(l.frame), 0) + coalesce(octet_length(l.payload_text), 0)
    + coalesce(octet_length(l.bytes), 0)) over (order by l.${order} rows between unbounded preceding and 1 preceding)
    as before
  from (select * from public.node_log where ${where} order by ${order} limit ${limit}) l
) l
where coalesce(before, 0) < ${BUDGET}
order by ${order}`

/** $1 id, $2 limit: rows after it, in commit order. */
export const followLog: Statement = { name: "log.follow", text: text("id > $1::int8", "id", "$2::int4") }

/** $1 node, $2 n, $3 limit: the node's rows after n. */
export const nodeLog: Statement = {
  name: "log.node",
  text: text("app_id = $1::uuid and n > $2::int8", "n", "$3::int4")
}
