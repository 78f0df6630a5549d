import type { Statement } from "../Database.ts"

/** $1: JSON array of ids. Tells a write of somebody else from my own that was committed before. */
export const missed: Statement = {
  name: "node.missed",
  text: `
select s.app_id, s.epoch, s.n, s.write_id
from jsonb_array_elements_text($1::jsonb) as a(id)
join public.node_status s on s.app_id = any (array[a.id::uuid])`
}
