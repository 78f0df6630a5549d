/**
 * Ends that an operation has brought about, into the log: of each row of `ended` (app_id, n, epoch, incarnation), in the
 * log's `turn`, by the operation `k`. `data`: what is said besides the reason, the operation and who issued it.
 */
export const logCancelled = (ended: string, data = ""): string => `
  insert into public.node_log (app_id, parent_id, n, day, epoch, incarnation, path_version, kind, data)
  select e.app_id, t.parent_id, e.n, trails.start_day(now()), e.epoch, e.incarnation, t.path_version, 'cancelled',
    jsonb_build_object('reason', k.reason, 'operation', k.id, 'by', k.issued_by${data})
  from ${ended} e cross join turn cross join k join public.node_tree t on t.app_id = any (array[e.app_id])`
