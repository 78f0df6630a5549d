export const ms = (value: string): string => `(${value}) * interval '1 millisecond'`

/** Of an operation that is probed by its key: written so that the indexes of what is open do not fit (`IS`). */
export const IS_OPEN = "coalesce(k.finished_at, 'infinity') = 'infinity'"

/** Of a node `n` of an operation `k`: what `DUE` judges by. */
export const ASKED = `
  k.action, k.started_at, k.levels, k.grace_ms, k.margin_ms, n.app_id, n.depth, n.correlation_id, n.asked_at,
    n.grace_ms + k.margin_ms as patience_ms`

/** $1 operation. The deepest level that is not through: all below it are, and nothing at a higher one has been asked. */
export const LEVEL = `
with k as materialized (
  select k.* from public.cascades k where k.id = $1::uuid and ${IS_OPEN}
), level as materialized (
  select n.depth from k cross join lateral (
    select n.depth from public.cascade_nodes n
    where n.operation = any (array[k.id]) and n.state <> 'resolved'
    order by n.operation desc, n.depth desc limit 1
  ) n
), asked as materialized (
  select ${ASKED}
  from k cross join level join public.cascade_nodes n
    on n.operation = any (array[k.id]) and n.depth = level.depth and n.state = 'asked'
)`

/** How long a replica may take to tell a node that it holds, milliseconds. */
export const TELLING = 10_000
/** What a node that we have lost gets to come back, besides its grace, milliseconds. */
export const RETURNING = 5000
/** Sessions in which a node is told the same and has its whole grace: the first, and after it was lost so many more. */
export const SESSIONS = 3

const IS_LOST = "s.status = 'reconnecting' and s.outcome ->> 'reason' in ('replica_lost', 'server_closed')"

/**
 * When the patience with a node is over. Its grace starts when it is told; who can't be told, having no session, has it from
 * the moment at which he was to be asked. Who is told late takes nothing from the levels above, so that together they stay
 * within levels × grace and 10 s. Who was lost after he was told has it from the next time at which he is told, which needs
 * that he comes back soon; how often is bounded, so that nobody puts off his end by coming and going.
 */
export const DUE = `greatest(
    a.asked_at + ${ms(`a.patience_ms + case
      when c.delivered_at is null and s.session is not null then ${TELLING}
      when ${IS_LOST} then ${RETURNING}
      else 0
    end`)},
    case when c.delivered_at is not null then least(
      c.delivered_at + ${ms("a.patience_ms")},
      a.started_at + ${ms("(a.levels - a.depth) * (a.grace_ms + a.margin_ms) + 1000")}) end,
    case
      when c.deliveries between 2 and ${SESSIONS} and c.session = s.session then c.told_at + ${ms("a.patience_ms")}
      when c.deliveries between 1 and ${SESSIONS - 1} and c.session <> s.session
        then s.connected_at + ${ms(`a.patience_ms + ${TELLING}`)}
      when c.deliveries between 1 and ${SESSIONS - 1} and ${IS_LOST} then s.disconnected_at + ${ms(String(RETURNING))}
    end)`
