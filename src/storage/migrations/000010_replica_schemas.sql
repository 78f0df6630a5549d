-- expand
-- The newest migration that a replica knows: a contract waits until all that run can bear it. Null: of a version from
-- before it was said.
alter table public.replicas add column schema int4;
