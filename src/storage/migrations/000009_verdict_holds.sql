-- A replica that denies nodes the chance to come back says here until when: meanwhile nobody takes silence for a verdict.
alter table public.replicas add column verdicts_held_until timestamptz;
