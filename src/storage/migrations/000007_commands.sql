-- What a node was told, the newest first, also among the millions that others have answered. Made in the migration's own
-- transaction: while it is built, on a queue that was kept for years, no command can be sent.
create index control_queue_app on public.control_queue (app_id, id);
