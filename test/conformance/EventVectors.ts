import { APP, CHILD, KEY, NONCE, PARENT, SERVER_KEY, SESSION } from "./FrameExamples.ts"
import type { ServerFrameVector } from "./FrameVector.ts"

const FRAME = { type: "event", app_id: PARENT, cursor: "1042" }
const TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

const registered = JSON.stringify({
  type: "registered",
  app_id: CHILD,
  parent_id: APP,
  child_pub_key: KEY,
  server_pub_key: SERVER_KEY,
  nonce: NONCE,
  client_nonce: NONCE,
  incarnation: 1,
  epoch: 1,
  session: SESSION,
  last_seq: 0,
  limits: { max_frame: 1048576, max_in_flight: 1024, max_in_flight_bytes: 8388608 },
  ping_interval_ms: 30000,
  sig: null
})

/** Payload text is never re-serialised: this number survives inside of the string only. */
const result =
  `{"type":"message","app_id":"${CHILD}","incarnation":1,"start_day":690,"header":{"msg_type":"Result",` +
  `"timestamp":1790000000123,"seq":7,"correlation_id":"c-1"},"payload":{"rows":12345678901234567890},"sig":null}`

const event = (kind: string, n: number, data: Readonly<Record<string, unknown>>) => ({
  specversion: "1.0",
  id: `${CHILD}:${n}`,
  source: `urn:uuid:${PARENT}`,
  type: `io.trails.node.${kind}`,
  subject: CHILD,
  time: "2026-11-25T10:00:00.123Z",
  datacontenttype: "application/json",
  data: {
    app_id: CHILD,
    parent_id: APP,
    root_id: PARENT,
    path: [PARENT, APP, CHILD],
    app_name: "load-orders",
    namespace: "etl",
    kind,
    incarnation: 1,
    epoch: 1,
    n,
    seq: null,
    correlation_id: null,
    facts: null,
    ...data
  }
})

type Example = ReturnType<typeof event>

const textOf = (value: object): string =>
  `${JSON.stringify(FRAME).slice(0, -1)},"event":${JSON.stringify(value)},"sig":null}`

const good = (name: string, value: object, expected: object = value): ServerFrameVector => ({
  name,
  text: textOf(value),
  ok: true,
  frame: { ...FRAME, event: expected },
  payload: JSON.stringify(value)
})

const bad = (name: string, value: object): ServerFrameVector => ({ name, text: textOf(value), ok: false })

const without = (value: Example, member: string): object => ({
  ...value,
  data: Object.fromEntries(Object.entries(value.data).filter(([key]) => key !== member))
})

const connected = event("connected", 2, { facts: { session: SESSION }, frame: registered })
const crash = event("crash", 9, { facts: { crash_type: "connection_drop", gap_seconds: 1.5 } })

/** Tree events as a subscriber gets them, and how much of one a client has to understand (PROTOCOL §11). */
export const eventVectors = (): ReadonlyArray<ServerFrameVector> => [
  good("event: scheduled", {
    ...event("scheduled", 1, { incarnation: 0, epoch: 0, facts: { by: `node:${APP}` } }),
    traceparent: TRACE
  }),
  good("event: connected, with the registered frame verbatim", connected),
  good("event: result, with the child's frame verbatim", {
    ...event("result", 8, { seq: 7, correlation_id: "c-1", frame: result }),
    traceparent: TRACE
  }),
  good("event: too large for its frame", {
    ...event("status", 5, { seq: 4 }),
    dataref: `/api/v1/apps/${CHILD}/log?after=4&limit=1`
  }),
  good("event: crash", crash),
  good("event: impostor", event("impostor", 10, { facts: { pub_key: KEY, peer: "192.0.2.7" } })),
  good(
    "event: a kind and members that are not known yet",
    { ...event("paused", 11, { mood: 1 }), colour: "red" },
    event("paused", 11, {})
  ),
  good("event: a trace context that is none is as if absent", { ...crash, traceparent: "00-xyz" }, crash),
  bad("event: missing", {}),
  bad("event: another version of CloudEvents", { ...crash, specversion: "2.0" }),
  bad("event: its id is another node's", { ...crash, id: `${APP}:9` }),
  bad("event: its id is another row's", { ...crash, id: `${CHILD}:8` }),
  bad("event: its type is another kind's", { ...crash, type: "io.trails.node.result" }),
  ...["app_id", "kind", "incarnation", "epoch", "n"].map((member) =>
    bad(`event: no ${member} in its data`, without(crash, member))
  )
]
