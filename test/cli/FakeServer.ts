import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { text } from "node:stream/consumers"

export const APP_ID = "0b9c8f3e-3f6e-4a3b-9c55-0d6f3f1f2a77"
export const OPERATION_ID = "154c24e2-a47a-4e55-9674-ca9d2252576d"
export const CORRELATION_ID = "705e5e34-bb99-440c-8e68-02605664ffc3"

/** One that was received whole. */
export interface Asked {
  readonly method: string
  /** Below `/api/v1/`. */
  readonly path: string
  readonly query: URLSearchParams
  readonly body: string
}

/** Answers, or leaves it. */
export type Answering = (asked: Asked, response: ServerResponse) => void

/** `retryAfter`: seconds, of a refusal that says later. */
export const reply = (response: ServerResponse, body: unknown, status = 200, retryAfter = 0): void => {
  const type = status < 400 ? "application/json" : "application/problem+json"
  response.writeHead(status, { "content-type": type, "retry-after": String(retryAfter) }).end(JSON.stringify(body))
}

export const problem = (response: ServerResponse, status: number, code: string, detail: string, retryAfter = 0): void =>
  reply(response, { status, code, detail }, status, retryAfter)

/** Something in the place of trailsd, which answers as a test wants. */
export class FakeServer {
  answer: Answering = () => {}
  readonly asked: Array<Asked> = []
  readonly #server: Server

  private constructor() {
    const listener: RequestListener = (request, response) => void this.#received(request, response)
    this.#server = createServer(listener)
  }

  static async start(): Promise<FakeServer> {
    const fake = new FakeServer()
    await new Promise<void>((resolve) => fake.#server.listen(0, "127.0.0.1", resolve))
    return fake
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Forgets what was asked, and answers nothing until it is told how. */
  reset(): void {
    this.answer = () => {}
    this.asked.length = 0
    this.#server.closeAllConnections()
  }

  async #received(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "", "http://x")
    const path = url.pathname.replace("/api/v1/", "")
    const asked = { method: request.method ?? "", path, query: url.searchParams, body: await text(request) }
    this.asked.push(asked)
    this.answer(asked, response)
  }

  close(): Promise<unknown> {
    this.#server.closeAllConnections()
    return new Promise((resolve) => this.#server.close(resolve))
  }
}

/** A node as `wait` answers it: it has ended well, unless `fields` say otherwise. */
export const waitAnswer = (fields: Readonly<Record<string, unknown>> = {}) => ({
  app_id: APP_ID,
  app_name: "batch",
  status: "done",
  ended: true,
  ended_at: "2026-11-25T15:30:02.000Z",
  snapshot: null,
  outcome: { state: "done", reason: null, forced: false, payload: { rows: 1 } },
  ...fields
})

/** A node as a tree has it: it runs, unless `fields` say otherwise. */
export const treeRow = (fields: Readonly<Record<string, unknown>> = {}) => ({
  app_id: APP_ID,
  parent_id: null,
  depth: 0,
  app_name: "batch",
  status: "running",
  snapshot: null,
  outcome: null,
  created_at: "2026-11-25T15:30:00.000Z",
  started_at: null,
  ended_at: null,
  deadline_at: null,
  pod_name: null,
  node_name: null,
  pid: null,
  ...fields
})

const COUNTS = { pending: 0, asked: 0, acked: 0, refused: 0, forced: 0, unreachable: 0, already_terminal: 0 }

/** An operation as docs/rest.md has it: of two nodes, all through, unless `fields` and `counts` say otherwise. */
export const operation = (
  fields: Readonly<Record<string, unknown>> = {},
  counts: Readonly<Partial<typeof COUNTS>> = { acked: 2 }
) => ({
  id: OPERATION_ID,
  app_id: APP_ID,
  app_name: "batch",
  action: "cancel",
  cascade: true,
  scope: "tree",
  origin: null,
  reason: "cancelled",
  grace_ms: 10_000,
  deadline_ms: null,
  filter: null,
  issued_by: "admin",
  state: "done",
  created_at: "2026-11-25T15:30:00.000Z",
  finished_at: "2026-11-25T15:30:02.000Z",
  levels: 2,
  level: null,
  total: 2,
  counts: { ...COUNTS, ...counts },
  dry_run: false,
  ...fields
})

/** A command as docs/rest.md has it: answered, unless `fields` say otherwise. */
export const command = (fields: Readonly<Record<string, unknown>> = {}) => ({
  correlation_id: CORRELATION_ID,
  app_id: APP_ID,
  action: "get",
  state: "answered",
  issued_by: "admin",
  issued_at: "2026-11-25T15:30:00.000Z",
  ack: true,
  error: null,
  payload: null,
  result: { rows: 1 },
  ...fields
})
