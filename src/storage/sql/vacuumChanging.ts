import type { Statement } from "../Database.ts"

/** The tables whose rows are updated or deleted; a script, since VACUUM runs in no transaction. */
export const vacuumChanging: Statement = {
  name: "",
  unlimited: true,
  text: `vacuum (analyze) public.node_status, public.node_incarnations, public.control_queue, public.http_nonces,
    public.replicas, public.leases`
}
