import { Effect, Latch } from "effect"
import { CommitHints } from "../storage/CommitHints.ts"
import { ReplicaStore } from "../storage/ReplicaStore.ts"
import type { StoreError } from "../storage/StoreError.ts"
import { TreeLog, type TreeLogRow } from "../storage/TreeLog.ts"
import { Telemetry } from "../Telemetry.ts"
import type { ChildSpec } from "./ChildSpec.ts"
import { duty, type DutyTerm } from "./Duty.ts"
import { type Anchor, EventOutlet, type OpenOutlet, OutletAway } from "./EventOutlet.ts"
import { monotonicClock } from "./MonotonicClock.ts"
import { prepare, type Prepared, settle } from "./PublishWindow.ts"
import { Rarely } from "./Rarely.ts"
import { ReplicaLease } from "./ReplicaLease.ts"

export const PUBLISHER = "publisher"

/** Rows of one read, and events under way at most; a page is bounded in bytes too (`TreeLog`). */
const MOST = 256
const POLL_MS = 200
/** What is committed within so long goes out together. */
const PULSE_MS = 5
/** Between two writes of the cursor while events go out. */
const SAVE_MS = 250
/** Between two looks at the log's head. */
const HEAD_MS = 1_000
/** Between two looks at the stream while there is nothing to publish: somebody may have deleted it. */
const STREAM_MS = 5_000
const LAST_SAVE_MS = 500
/** Between two tries to open the stream; doubled from the first to the last. */
const RETRY_MS = [250, 5_000] as const
/** Trouble that lasts so long may be this replica's alone: others may try, for at least so long. */
const GIVE_WAY_AFTER_MS = 5_000
const REST_MS = 3_000
/** Until a duty that was given up is asked for again, and more: whose turn it is then is known. */
const ASKED_AGAIN_MS = 2_500
/** Windows in a row of which nothing was stored because somebody else writes into the stream, before it is said. */
const CROWDED = 10
const SAY_AGAIN_MS = 60_000

/** One holding of the duty. */
interface Place {
  readonly term: DutyTerm
  /** Everything up to this id is in the stream, or is no event, or was passed over. */
  cursor: number
  /** The cursor as the lease row has it, and when it was written. */
  saved: number
  savedAt: number
  headAt: number
  /** Null: to be opened. */
  stream: OpenOutlet | null
  openedAt: number
  anchor: Anchor
  /** Events under way at once: halved when something came in between, doubled by success. */
  window: number
  /** Windows in a row of which nothing was stored. */
  misses: number
  isDeposed: boolean
}

/**
 * The leased publisher (DESIGN §5): reads the log by id and publishes each row to the stream, at least once and in commit
 * order. Invariants:
 * - E1 the cursor in the lease row moves behind an event when the stream has acknowledged it, and never before.
 * - E2 an event is stored directly behind the one before it in the log, or not at all (`Anchor`): neither a failure within
 *   a window nor an old holder that wakes up changes the order.
 * - E3 after a failure it goes on with the first event that is not known to be stored; who holds the duty no more finds
 *   that out by the lease row before it looks for a new anchor.
 * - E4 an event is passed over only for what it is itself, counted and logged; everything else is waited for.
 * - E5 a stream in which nothing ever was gets the log from its beginning.
 * - E6 who can't publish for a while gives the duty up, for another replica to try: the trouble may be that of its own
 *   nats-server or login.
 */
export const eventPublisher: Effect.Effect<
  ChildSpec<ReplicaLease | ReplicaStore | Telemetry>,
  never,
  EventOutlet | TreeLog | CommitHints | ReplicaLease | ReplicaStore | Telemetry
> = Effect.gen(function* () {
  const outlet = yield* EventOutlet
  const log = yield* TreeLog
  const hints = yield* CommitHints
  const replicas = yield* ReplicaStore
  const telemetry = yield* Telemetry
  const { boot } = yield* ReplicaLease
  const now = yield* monotonicClock
  const { eventsPublished, eventTroubles } = telemetry
  for (const kind of ["away", "no_jetstream", "refused", "unknown", "misplaced", "too_large", "unfit", "replay"]) {
    eventTroubles.of(kind)
  }

  let place: Place | null = null
  let newest = 0
  let retry: number = RETRY_MS[0]
  /** Since when nothing goes out; null while it does, or there is nothing to. */
  let troubledSince: number | null = null
  let restsUntil = Number.NEGATIVE_INFINITY
  const rarely = new Rarely(now, SAY_AGAIN_MS)
  const stirred = yield* Latch.make()
  telemetry.gauge("events_lag", () => {
    const isMine = place?.term.held() === true || now() < restsUntil + ASKED_AGAIN_MS
    return place !== null && isMine ? Math.max(0, newest - place.cursor) : 0
  })
  telemetry.gauge("events_stream_open", () => (place?.term.held() === true && place.stream !== null ? 1 : 0))

  /** Once per kind and while. */
  const say = (kind: string, line: Effect.Effect<void>): Effect.Effect<void> => (rarely.may(kind) ? line : Effect.void)

  const begin = (term: DutyTerm): Place => ({
    term,
    cursor: term.cursor,
    saved: term.cursor,
    savedAt: now(),
    headAt: Number.NEGATIVE_INFINITY,
    stream: null,
    openedAt: Number.NEGATIVE_INFINITY,
    anchor: { _tag: "Sequence", last: 0 },
    window: MOST,
    misses: 0,
    isDeposed: false
  })

  /** E1 */
  const save = Effect.fnUntraced(function* (at: Place) {
    const { cursor } = at
    if (!(yield* replicas.advanceDuty(PUBLISHER, boot, cursor))) at.isDeposed = true
    at.saved = cursor
    at.savedAt = now()
  })

  /** E5: that nothing was ever stored is what the stream itself says, whoever made it and whatever failed since. */
  const replay = Effect.fnUntraced(function* (at: Place) {
    if (!(yield* replicas.restartDuty(PUBLISHER, boot))) {
      at.isDeposed = true
      return
    }
    eventTroubles.add("replay")
    at.cursor = 0
    at.saved = 0
    yield* Effect.logWarning("the stream of tree events is new: it gets the log from its beginning")
  })

  /** E3: a new anchor is looked for by the holder only, as the lease row has it. */
  const open = Effect.fnUntraced(function* (at: Place) {
    at.stream = null
    yield* save(at)
    if (at.isDeposed) return
    const stream = yield* outlet.open
    if (stream.lastSequence === 0 && at.cursor > 0) yield* replay(at)
    at.anchor = { _tag: "Sequence", last: stream.lastSequence }
    at.stream = stream
    at.openedAt = now()
  })

  /** A stream that opens may refuse every event all the same: only what was stored, or has not to be, ends a trouble. */
  const goesWell = Effect.suspend(() => {
    retry = RETRY_MS[0]
    troubledSince = null
    return rarely.forget("away") ? Effect.logInfo("tree events are published again") : Effect.void
  })

  const passOver = Effect.fnUntraced(function* (row: TreeLogRow, why: string) {
    eventTroubles.add("unfit")
    yield* say(
      "unfit",
      Effect.logError(
        `an event can't be published and is passed over: ${row.appId}:${row.n} (${row.kind}, log id ${row.id}): ${why}; ` +
          "trails_event_troubles_total counts them"
      )
    )
  })

  /** Something stands between. */
  const findPlace = Effect.fnUntraced(function* (at: Place) {
    eventTroubles.add("misplaced")
    at.window = Math.max(1, at.window >> 1)
    if (++at.misses % CROWDED === 0) {
      yield* say(
        "crowded",
        Effect.logWarning("somebody else publishes below trails. and so holds up tree events: only trailsd may do that")
      )
      yield* Effect.sleep(Math.min(at.misses * 10, 1_000))
    }
    yield* open(at)
  })

  /** One window: sent, and whatever came of it carried out. Answers how many rows are through; null: read them again. */
  const send = Effect.fnUntraced(function* (
    at: Place,
    stream: OpenOutlet,
    prepared: ReadonlyArray<Prepared>,
    bare: Set<number>
  ) {
    const messages = prepared.flatMap(({ message }) => message ?? [])
    const fates = messages.length === 0 ? [] : yield* stream.publish(messages, at.anchor)
    const settled = settle(prepared, fates)
    for (const { row, why } of settled.passed) yield* passOver(row, why)
    if (settled.through.length > 0) at.cursor = settled.through.at(-1)!.id
    if (settled.last !== null) at.anchor = { _tag: "Event", id: settled.last }
    eventsPublished.add(settled.stored)
    if (settled.stored > 0) {
      at.misses = 0
      yield* goesWell
    }
    const { stop } = settled
    if (stop === null) at.window = Math.min(MOST, at.window * 2)
    else if (stop.fate._tag === "misplaced") {
      yield* findPlace(at)
      return null
    } else if (stop.fate._tag === "unfit") {
      eventTroubles.add("too_large")
      bare.add(stop.row.id)
    } else if (stop.fate._tag === "unknown") {
      at.stream = null
      eventTroubles.add("unknown")
      return yield* new OutletAway({ reason: "away", message: stop.fate.why })
    }
    return settled.through.length
  })

  const publish = Effect.fnUntraced(function* (at: Place, rows: ReadonlyArray<TreeLogRow>) {
    /** Rows that the stream did not take with their frames. */
    const bare = new Set<number>()
    let from = 0
    while (from < rows.length && at.term.held() && !at.isDeposed && at.stream !== null) {
      const through = yield* send(at, at.stream, prepare(rows, from, at.window, at.stream, bare), bare)
      if (through === null) return
      from += through
      if (now() - at.savedAt >= SAVE_MS) yield* save(at)
    }
  })

  const pump = Effect.fnUntraced(function* (at: Place) {
    while (at.term.held() && !at.isDeposed && outlet.reachable()) {
      // Closed before the log is looked at: what is committed from here on opens it again.
      stirred.closeUnsafe()
      const looks = now() - at.headAt >= HEAD_MS
      if (looks) {
        newest = (yield* log.head).newest
        at.headAt = now()
      }
      // After the look: how far behind it is has to be seen just then.
      if (at.stream === null) yield* open(at)
      if (at.isDeposed) return
      const { rows } = yield* log.all(at.cursor, MOST)
      newest = Math.max(newest, rows.at(-1)?.id ?? 0)
      if (rows.length > 0) {
        yield* publish(at, rows)
        continue
      }
      yield* goesWell
      // The head was read before the page: what lies between holds no event.
      if (looks) at.cursor = Math.max(at.cursor, newest)
      if (at.cursor !== at.saved && now() - at.savedAt >= SAVE_MS) yield* save(at)
      if (now() - at.openedAt >= STREAM_MS) {
        yield* open(at)
        continue
      }
      yield* Effect.timeoutOption(Effect.andThen(stirred.await, Effect.sleep(PULSE_MS)), POLL_MS)
    }
  })

  const away = Effect.fnUntraced(function* ({ message, reason }: OutletAway) {
    eventTroubles.add(reason)
    troubledSince ??= now()
    if (now() - troubledSince >= GIVE_WAY_AFTER_MS) restsUntil = now() + REST_MS
    const line = `tree events are not published at the moment: ${message}; nothing is lost, it is tried again`
    yield* say("away", reason === "away" ? Effect.logWarning(line) : Effect.logError(line))
    yield* Effect.sleep(retry)
    retry = Math.min(retry * 2, RETRY_MS[1])
  })

  return duty(PUBLISHER, {
    intervalMs: POLL_MS,
    able: () => outlet.reachable() && now() >= restsUntil,
    body: (term): Effect.Effect<void, StoreError> =>
      Effect.gen(function* () {
        const at = place?.term === term ? place : begin(term)
        place = at
        const wake = (): void => void stirred.openUnsafe()
        const unlisten = hints.listen({ onCommit: wake, onUnnamed: wake, onForeign: wake })
        yield* pump(at).pipe(
          Effect.catchTag("OutletAway", away),
          // Also where nobody else has taken it: the row may have run out early, by the database's clock alone.
          Effect.andThen(Effect.suspend(() => (at.isDeposed ? term.end : Effect.void))),
          Effect.ensuring(
            Effect.suspend(() => {
              unlisten()
              return at.cursor === at.saved || at.isDeposed
                ? Effect.void
                : Effect.ignore(Effect.timeout(save(at), LAST_SAVE_MS))
            })
          )
        )
      })
  })
})
