import { badFrames } from "./BadFrameVectors.ts"
import { eventVectors } from "./EventVectors.ts"
import type { BadFrameVector, GoodFrameVector, ServerFrameVector } from "./FrameVector.ts"
import { APP, CHILD, clientFrames, CLIENT_NONCE, KEY, NONCE, PARENT, SERVER_KEY, SESSION } from "./FrameExamples.ts"

const good = (
  name: string,
  frame: Readonly<Record<string, unknown>>,
  payload: string | null = null
): ServerFrameVector => {
  const application = payload === null ? "" : `,"payload":${payload}`
  return { name, text: `${JSON.stringify(frame).slice(0, -1)}${application},"sig":null}`, ok: true, frame, payload }
}

const serverFrames = (): ReadonlyArray<ServerFrameVector> => {
  const ack = { type: "ack", app_id: APP, incarnation: 2, seq: 41 }
  const hello = { type: "hello", nonce: NONCE, server_pub_key: SERVER_KEY, server_time: 1790000000000, level: "signed" }
  const registered = {
    type: "registered",
    app_id: APP,
    parent_id: PARENT,
    child_pub_key: KEY,
    ticket_hash: NONCE,
    server_pub_key: SERVER_KEY,
    nonce: NONCE,
    client_nonce: CLIENT_NONCE,
    incarnation: 1,
    epoch: 1,
    session: SESSION,
    last_seq: 0,
    limits: { max_frame: 1048576, max_in_flight: 256, max_in_flight_bytes: 4194304 },
    ping_interval_ms: 30000
  }
  const bad = (name: string, frame: object): ServerFrameVector => ({ name, text: JSON.stringify(frame), ok: false })
  return [
    good("hello", hello),
    good("registered", registered),
    good("registered, root without a ticket, for cancelling only", {
      ...Object.fromEntries(Object.entries(registered).filter(([key]) => key !== "ticket_hash")),
      parent_id: null,
      only: "cancel"
    }),
    good("ack", ack),
    good("declared", { type: "declared", app_id: APP, child_id: CHILD }),
    good(
      "control",
      {
        type: "control",
        app_id: APP,
        incarnation: 1,
        session: SESSION,
        epoch: 3,
        action: "cancel",
        correlation_id: "c-1",
        issued_by: "admin",
        issued_at: 1790000000000,
        expires_at: 1790000060000
      },
      '{"reason":"too slow","grace_ms":9007199254740993}'
    ),
    ...eventVectors(),
    good("error about a frame", {
      type: "error",
      code: "seq_conflict",
      message: "seq 7 is stored with other bytes",
      app_id: APP,
      seq: 7,
      retryable: false
    }),
    good("error about the replica", {
      type: "error",
      code: "going_away",
      message: "reconnect",
      retryable: true,
      retry_after_ms: 1500
    }),
    bad("unknown type", { type: "goodbye", sig: null }),
    bad("inherited name as type", { type: "toString", sig: null }),
    bad("unknown error code", { type: "error", code: "sorry", message: "", retryable: false, sig: null }),
    bad("unknown level", { ...hello, level: "top", sig: null }),
    bad("short nonce", { ...hello, nonce: "AAAA", sig: null }),
    bad("ack of a fraction", { ...ack, seq: 1.5, sig: null }),
    bad("limits missing", { ...registered, limits: null, sig: null })
  ]
}

export const frameVectors = (): {
  readonly client: ReadonlyArray<GoodFrameVector | BadFrameVector>
  readonly server: ReadonlyArray<ServerFrameVector>
} => ({ client: [...clientFrames(), ...badFrames()], server: serverFrames() })
