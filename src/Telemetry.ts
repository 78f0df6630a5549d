import { monitorEventLoopDelay } from "node:perf_hooks"
import { Context, Effect, Layer, Metric } from "effect"
import type { ClientFrame, ErrorCode } from "./protocol/Frames.ts"
import { Counter, CounterFamily, Histogram } from "./TelemetrySeries.ts"

/** Values that live where they arise and are read when the registry is rendered. */
const GAUGES = {
  sessions: "Authenticated sessions of nodes on this replica",
  sockets: "Open sockets",
  handshakes_waiting: "Handshakes waiting for admission",
  subscriptions: "Open subscriptions to tree events",
  waiters: "REST requests that wait for something to happen",
  watchers: "GET watch at the moment: subscriptions too",
  subscriptions_starved: "Subscriptions that wait for a peer to read",
  actors: "Node actors in memory",
  mailbox_depth: "Messages waiting in mailboxes",
  actors_rebuilt: "Node actors rebuilt from their row after a defect, since the start",
  child_up: "1 while the supervised child runs",
  duty_held: "1 while this replica holds the duty",
  nats_connected: "1 while this replica is connected to NATS",
  nats_unconfirmed_bytes: "Bytes given to the connection to NATS that the server has not taken yet",
  events_lag: "Ids of the log between its newest row and what this replica has published of it; 0 without the duty",
  events_stream_open: "1 while this replica publishes tree events to a stream",
  database_up: "1 while the database answers",
  lease_held: "1 while this replica holds its lease",
  loop_delay_seconds: "Event loop delay by quantile, since the last scrape; max is the longest block",
  loop_delay_max_seconds: "Longest block of the event loop since the start",
  resident_bytes: "Resident memory of the process"
} as const

const FRAME_TYPES = [
  "register",
  "re_register",
  "message",
  "disconnect",
  "control_result",
  "declare",
  "subscribe",
  "invalid"
] satisfies ReadonlyArray<ClientFrame["type"] | "invalid">

const ERROR_CODES = [
  "bad_frame",
  "too_large",
  "bad_signature",
  "not_registered",
  "registration_failed",
  "key_mismatch",
  "ticket_invalid",
  "deadline_passed",
  "parent_sealed",
  "level_too_weak",
  "seq_conflict",
  "superseded",
  "terminal",
  "replaced",
  "going_away",
  "overloaded",
  "unavailable"
] satisfies ReadonlyArray<ErrorCode>

/** Why a message from another replica is not heard (docs/protocol.md §17). */
const REPLICA_REFUSALS = [
  "bad_signature",
  "malformed",
  "overflow",
  "own",
  "rate",
  "replayed",
  "stale",
  "target",
  "too_large",
  "unheeded",
  "unknown_kind",
  "version"
] as const

export type ReplicaRefusal = (typeof REPLICA_REFUSALS)[number]

export type GaugeName = keyof typeof GAUGES

/**
 * Counters and histograms of the process, and its gauges by name (`trails_*` at /metrics). Every method is synchronous
 * and costs an addition, so that socket callbacks and actors may call it for each message.
 */
export interface TelemetryShape {
  /** By frame type; what could not be decoded counts as `invalid`. */
  readonly framesReceived: CounterFamily
  readonly framesAcked: Counter
  /** By error code (PROTOCOL §3). */
  readonly framesRefused: CounterFamily
  readonly badSignatures: Counter
  readonly eventsSent: Counter
  readonly eventsPublished: Counter
  /** By what went wrong, or had to be done again; see `PUBLISH_TROUBLES`. */
  readonly eventTroubles: CounterFamily
  readonly auditDenies: Counter
  readonly natsPublished: Counter
  readonly natsReceived: Counter
  /** By reason: `away` (no connection), `slow` (the server takes no more), `unfit` (too large). */
  readonly natsDropped: CounterFamily
  /** By kind of message between replicas. */
  readonly replicaMessagesSent: CounterFamily
  readonly replicaMessagesAccepted: CounterFamily
  /** By `ReplicaRefusal`. */
  readonly replicaMessagesRefused: CounterFamily
  /** Hints for nodes of other replicas that were not sent. */
  readonly replicaHintsDropped: Counter
  /** Writes per committed batch. */
  readonly appendBatch: Histogram
  /** Seconds from the start of an append to its commit. */
  readonly appendSeconds: Histogram
  /** By supervised child. */
  readonly restarts: CounterFamily
  /** By duty. */
  readonly dutyRuns: CounterFamily
  readonly dutyFailures: CounterFamily
  /** Registers (or replaces) a gauge that is read at each scrape; `read` must be cheap and must not throw. */
  readonly gauge: (name: GaugeName, read: () => number, labels?: Readonly<Record<string, string>>) => void
  /** Prometheus text, version 0.0.4. */
  readonly render: Effect.Effect<string>
}

const LOOP_RESOLUTION = 10

const loopDelay = Effect.acquireRelease(
  Effect.sync(() => {
    const monitor = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION })
    monitor.enable()
    return monitor
  }),
  (monitor) => Effect.sync(() => monitor.disable())
)

/** The monitor measures from tick to tick of its own timer: what is longer than the timer's interval is delay. */
const delaySeconds = (samples: number, nanos: number): number =>
  samples === 0 ? 0 : Math.max(0, nanos / 1e9 - LOOP_RESOLUTION / 1e3)

export class Telemetry extends Context.Service<Telemetry, TelemetryShape>()("trails/Telemetry") {
  static readonly layer: Layer.Layer<Telemetry> = Layer.effect(
    this,
    Effect.gen(function* () {
      // A registry of its own: two servers in one test process do not add up, and only what is listed here is shown.
      const context = Context.make(Metric.MetricRegistry, new Map())
      const register = <Input, State>(metric: Metric.Metric<Input, State>, get: () => State): void => {
        Metric.registerUnsafe(metric, context, { get, update: () => {}, modify: () => {} })
      }
      const counted = (
        id: string,
        description: string,
        series: Counter,
        attributes?: Record<string, string>
      ): Counter => {
        register(Metric.counter(`trails_${id}`, { description, incremental: true, attributes }), () => ({
          count: series.count,
          incremental: true
        }))
        return series
      }
      const counter = (id: string, description: string): Counter => counted(id, description, new Counter())
      const family = (id: string, label: string, description: string): CounterFamily =>
        new CounterFamily((value, series) => counted(id, description, series, { [label]: value }))
      const histogram = (id: string, description: string, boundaries: ReadonlyArray<number>): Histogram => {
        const series = new Histogram(boundaries)
        register(Metric.histogram(`trails_${id}`, { description, boundaries }), () => series.state())
        return series
      }
      const gauge: TelemetryShape["gauge"] = (name, read, labels) =>
        register(Metric.gauge(`trails_${name}`, { description: GAUGES[name], attributes: labels ?? {} }), () => ({
          value: read()
        }))

      // Two, because a reset loses the interval that is under way: the longest block must not be missed by a scrape.
      const recent = yield* loopDelay
      const all = yield* loopDelay
      for (const [quantile, percent] of [
        ["0.5", 50],
        ["0.99", 99]
      ] as const) {
        gauge("loop_delay_seconds", () => delaySeconds(recent.count, recent.percentile(percent)), { quantile })
      }
      gauge("loop_delay_seconds", () => delaySeconds(recent.count, recent.max), { quantile: "max" })
      gauge("loop_delay_max_seconds", () => delaySeconds(all.count, all.max))
      gauge("resident_bytes", () => process.memoryUsage.rss())

      const framesReceived = family("frames_received_total", "type", "Frames received from clients")
      const framesRefused = family("frames_refused_total", "code", "Frames answered with an error")
      // Opened now, so that a rate is known from the first of its kind.
      for (const type of FRAME_TYPES) framesReceived.of(type)
      for (const code of ERROR_CODES) framesRefused.of(code)
      const replicaMessagesRefused = family(
        "replica_messages_refused_total",
        "reason",
        "Messages from other replicas that were not heard"
      )
      for (const reason of REPLICA_REFUSALS) replicaMessagesRefused.of(reason)

      return {
        framesReceived,
        framesAcked: counter("frames_acked_total", "Data frames committed and acked"),
        framesRefused,
        badSignatures: counter("bad_signatures_total", "Frames whose signature did not verify"),
        eventsSent: counter("events_sent_total", "Tree events sent to subscribers"),
        natsPublished: counter("nats_published_total", "Messages given to the connection to NATS"),
        natsReceived: counter("nats_received_total", "Messages received from NATS"),
        natsDropped: family(
          "nats_dropped_total",
          "reason",
          "Messages for NATS that could not be sent and were dropped"
        ),
        eventsPublished: counter("events_published_total", "Tree events that the stream has acknowledged"),
        eventTroubles: family(
          "event_troubles_total",
          "kind",
          "What kept tree events from being published at once, or at all (unfit), by kind"
        ),
        auditDenies: counter("audit_denies_total", "Requests denied and audited"),
        replicaMessagesSent: family("replica_messages_sent_total", "kind", "Messages sent to other replicas"),
        replicaMessagesAccepted: family(
          "replica_messages_accepted_total",
          "kind",
          "Messages from other replicas that were heard"
        ),
        replicaMessagesRefused,
        replicaHintsDropped: counter(
          "replica_hints_dropped_total",
          "Hints for nodes of other replicas that were not sent"
        ),
        appendBatch: histogram("append_batch_size", "Writes per committed batch", [1, 2, 5, 10, 20, 50, 100, 200, 500]),
        appendSeconds: histogram(
          "append_seconds",
          "Time from the start of an append to its commit",
          [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
        ),
        restarts: family("child_restarts_total", "child", "Restarts of supervised children"),
        dutyRuns: family("duty_runs_total", "duty", "Runs of a duty's body on this replica"),
        dutyFailures: family("duty_failures_total", "duty", "Runs of a duty's body that failed"),
        gauge,
        // Imported at the first scrape: the module pulls in the HTTP router, which start-up should not wait for.
        render: Effect.promise(() => import("effect/observability/PrometheusMetrics")).pipe(
          Effect.map((prometheus) => {
            const text = prometheus.formatUnsafe(context)
            recent.reset()
            return text
          })
        )
      }
    })
  )
}
