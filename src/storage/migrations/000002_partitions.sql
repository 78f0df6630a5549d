-- Partitions ahead of time. A birth or append outside of any falls into the default partition; what lies there is moved
-- when the partition of its range is made.

create function trails.make_partition(parent text, key text, lower int4, upper int4) returns boolean
  language plpgsql
  as $$
declare
  name text := format('%s_%s', parent, lpad(lower::text, 5, '0'));
  columns text;
begin
  -- Not to_regclass: its cache may not know yet what the caller before us has made while we waited for the lock.
  if exists (select from pg_class where relnamespace = 'trails'::regnamespace and relname = name) then
    return false;
  end if;
  execute format('create table trails.%I (like public.%I including defaults including constraints)', name, parent);
  -- Nothing may arrive in the range between the move and the attachment. Appends into the default partition queue up
  -- behind this lock: give up soon rather than hold them, the next call tries again.
  perform set_config('lock_timeout', '2s', true);
  execute format('lock table trails.%I in access exclusive mode', parent || '_default');
  select string_agg(quote_ident(attname), ', ' order by attnum) into columns
    from pg_attribute
    where attrelid = format('public.%I', parent)::regclass and attnum > 0 and not attisdropped;
  execute format(
    'with moved as (delete from trails.%I where %I >= %s and %I < %s returning %s)
     insert into trails.%I (%s) select %s from moved',
    parent || '_default', key, lower, key, upper, columns, name, columns, columns);
  execute format('alter table public.%I attach partition trails.%I for values from (%s) to (%s)',
    parent, name, lower, upper);
  return true;
end
$$;

-- Makes what is missing from today to `ahead` days from now: the log by day, births by four weeks. Returns how many it
-- made. Side by side calls wait for each other; a call that finds nothing missing takes no lock on any table.
create function trails.make_partitions(ahead int4) returns int4
  language plpgsql
  as $$
declare
  today int4 := trails.start_day(now());
  first int4;
  made int4 := 0;
begin
  if not exists (
    select from generate_series(today, today + ahead) d
    where to_regclass(format('trails.%I', 'node_log_' || lpad(d::text, 5, '0'))) is null
      or to_regclass(format('trails.%I', 'nodes_' || lpad((d - d % 28)::text, 5, '0'))) is null
  ) then
    return 0;
  end if;
  perform pg_advisory_xact_lock(8432071, 2);
  for d in today .. today + ahead loop
    if trails.make_partition('node_log', 'day', d, d + 1) then
      made := made + 1;
    end if;
    first := d - d % 28;
    if trails.make_partition('nodes', 'start_day', first, first + 28) then
      made := made + 1;
    end if;
  end loop;
  return made;
end
$$;
