import type { Statement } from "../Database.ts"

/** $1 id, $2 incarnation, $3 JSON array of seqs. Evidence of refused frames has no seq, so it is not found. */
export const storedFrames: Statement = {
  name: "log.frames",
  text: `
select l.seq, l.frame
from public.node_log l
where l.app_id = $1::uuid and l.incarnation = $2::int4
  and l.seq = any (array(select a.seq::int8 from jsonb_array_elements_text($3::jsonb) as a(seq)))
  and l.frame is not null
order by l.seq`
}
