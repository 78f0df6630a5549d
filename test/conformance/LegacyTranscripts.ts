/**
 * What the two public legacy clients put on the wire, byte by byte, for each thing that they do. See README.md for the
 * steps and placeholders.
 */

export type Step =
  | { readonly connect: { readonly subprotocols: ReadonlyArray<string> } }
  | { readonly send: string }
  | { readonly expect: Readonly<Record<string, unknown>>; readonly absent?: ReadonlyArray<string> }
  | { readonly close: { readonly code: number | null } }
  | { readonly drop: true }
  | { readonly state: string; readonly crash_type?: string }

export interface Transcript {
  readonly client: "python" | "rust"
  readonly steps: ReadonlyArray<Step>
}

export interface TranscriptFile {
  readonly name: string
  readonly about: string
  readonly transcripts: ReadonlyArray<Transcript>
}

type Client = Transcript["client"]

/** One client writes a space after `:` and `,`, the other none; both escape as JSON does. */
const write = (client: Client, value: unknown): string => {
  if (client === "rust" || typeof value !== "object" || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map((item) => write(client, item)).join(", ")}]`
  return `{${Object.entries(value)
    .map(([key, item]) => `${JSON.stringify(key)}: ${write(client, item)}`)
    .join(", ")}}`
}

const KEYS: Readonly<Record<Client, string>> = {
  // Sent when its signing library is not installed: a key is opaque text.
  python: "ed25519:no-nacl-installed",
  rust: "ed25519:IVLzlNM5Xk5Lz5jHqUOmBsCO7DhMfRqMtcyx0sBKqyY="
}

const processInfo = (client: Client): object => ({
  pid: 4711,
  // One of them does not ask the system for these.
  ppid: client === "python" ? 1 : 0,
  uid: client === "python" ? 1000 : 0,
  gid: client === "python" ? 1000 : 0,
  hostname: "worker-7",
  node_name: null,
  pod_ip: null,
  namespace: null,
  start_time: 1790000000000,
  executable: client === "python" ? "/usr/bin/python3" : null
})

const connect: Step = { connect: { subprotocols: [] } }

const register = (client: Client): Step => ({
  send: write(client, {
    type: "register",
    app_id: "{{app}}",
    parent_id: null,
    app_name: "legacy-task",
    child_pub_key: KEYS[client],
    process_info: processInfo(client),
    role_refs: [],
    sig: null
  })
})

/** The second client takes any answer with the text `"error"` in it for a refusal. */
const registered: Step = {
  expect: { type: "registered", app_id: "{{app}}", server_pub_key: "{{any}}" },
  absent: ['"error"']
}

const data = (client: Client, msgType: "Status" | "Result" | "Error", seq: number, payload: unknown): Step => ({
  send: write(client, {
    type: "message",
    app_id: "{{app}}",
    header: { msg_type: msgType, timestamp: 1790000000000 + seq, seq, correlation_id: null },
    payload,
    sig: null
  })
})

const ack = (seq: number): Step => ({ expect: { type: "ack", seq } })

const disconnect = (client: Client): Step => ({
  send: write(client, { type: "disconnect", app_id: "{{app}}", reason: "completed" })
})

/** One closes with 1000, the other with a close frame without a code. */
const close = (client: Client): Step => ({ close: { code: client === "python" ? 1000 : null } })

const hello = (client: Client): ReadonlyArray<Step> => [connect, register(client), registered]

const status = (client: Client, seq: number): ReadonlyArray<Step> => [
  data(client, "Status", seq, { phase: "processing", progress: 0.5, rows: 50000 }),
  ack(seq)
]

const file = (name: string, about: string, steps: (client: Client) => ReadonlyArray<Step>): TranscriptFile => ({
  name,
  about,
  transcripts: (["python", "rust"] as const).map((client) => ({ client, steps: steps(client) }))
})

export const legacyTranscripts = (): ReadonlyArray<TranscriptFile> => [
  file("register", "A new node registers: no hello comes before the answer.", (client) => [
    ...hello(client),
    { state: "connected" }
  ]),
  file("status", "The first Status makes it running; each data frame gets one ack, in order.", (client) => [
    ...hello(client),
    ...status(client, 1),
    { state: "running" },
    data(client, "Status", 2, { progress: 0.6 }),
    data(client, "Status", 3, { progress: 0.7 }),
    ack(2),
    ack(3)
  ]),
  file("result", "A Result ends the node.", (client) => [
    ...hello(client),
    ...status(client, 1),
    data(client, "Result", 2, { rows_scanned: 100000 }),
    ack(2),
    { state: "done" }
  ]),
  file("error", "An Error ends the node; its payload has message and detail.", (client) => [
    ...hello(client),
    ...status(client, 1),
    data(client, "Error", 2, { message: "disk full", detail: null }),
    ack(2),
    { state: "error" }
  ]),
  file("disconnect", "A disconnect has no sig and no seq, and nobody waits for an answer to it.", (client) => [
    ...hello(client),
    ...status(client, 1),
    disconnect(client),
    close(client),
    { state: "done" }
  ]),
  file("drop", "The connection is gone without a word.", (client) => [
    ...hello(client),
    ...status(client, 1),
    { drop: true },
    { state: "crashed", crash_type: "connection_drop" }
  ]),
  file(
    "re-register",
    "After a drop it comes back with the same key; one of the clients always says last_seq 0.",
    (client) => [
      ...hello(client),
      ...status(client, 1),
      { drop: true },
      connect,
      {
        send: write(client, {
          type: "re_register",
          app_id: "{{app}}",
          last_seq: client === "python" ? 0 : 1,
          pub_key: KEYS[client],
          sig: null
        })
      },
      registered,
      { state: "running" },
      ...status(client, 2),
      data(client, "Result", 3, { ok: true }),
      ack(3),
      { state: "done" }
    ]
  )
]
