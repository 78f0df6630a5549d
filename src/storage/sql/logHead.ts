import type { Statement } from "../Database.ts"

/** The newest row that can be seen, and the largest id ever drawn. */
export const logHead: Statement = {
  name: "log.head",
  text: `
select
  coalesce((select id from public.node_log order by id desc limit 1), 0) as newest,
  (select last_value from public.node_log_id) as drawn`
}
