import { createServer, type Server, type Socket } from "node:net"
import type { AgentAnswer, AgentRefusal, AgentRequest } from "../client/AgentMessage.ts"

/** A report of the largest frame that a server can be set to, and its head. Bytes. */
const REQUEST = 17 * 1024 * 1024
const HEAD = 64 * 1024
/** From the connection to the end of the request, milliseconds. */
const REQUEST_MS = 10_000
const CONNECTIONS = 1024

export type Answering = (request: AgentRequest) => Promise<AgentAnswer> | AgentAnswer

export const refused = (code: AgentRefusal, message: string): AgentAnswer => ({ ok: false, code, message })

const isText = (value: unknown): value is string => typeof value === "string"
const isTextOrNull = (value: unknown): value is string | null => value === null || isText(value)

/** By the operation: what must be what. Members that are not listed are left out. */
const shapes: { readonly [Op in AgentRequest["op"]]: (head: Readonly<Record<string, unknown>>) => boolean } = {
  claim: ({ appId }) => isTextOrNull(appId),
  child: ({ appId, childKey, name, tags, traceparent }) =>
    [appId, name, childKey].every(isText) && isTextOrNull(traceparent) && typeof tags === "object",
  report: ({ kind }) => kind === "status" || kind === "result" || kind === "error",
  whoami: () => true
}

/** AgentMessage.ts says how a request is written. */
const readRequest = (text: string): AgentRequest | null => {
  const end = text.indexOf("\n")
  if (end === -1 || end > HEAD) return null
  try {
    const head = JSON.parse(text.slice(0, end)) as Readonly<Record<string, unknown>>
    const { op } = head
    if (!isText(op) || !Object.hasOwn(shapes, op) || !shapes[op as AgentRequest["op"]](head)) return null
    return (op === "report" ? { ...head, payload: text.slice(end + 1) } : head) as unknown as AgentRequest
  } catch {
    return null
  }
}

/**
 * The socket through which the processes below a run reach it (`TRAILS_AGENT`). Its folder lets in this user alone; they
 * are trusted as the run's own command is.
 */
export class Agent {
  readonly #server: Server
  readonly #answer: Answering

  private constructor(answer: Answering) {
    this.#answer = answer
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#serve(socket))
    this.#server.maxConnections = CONNECTIONS
  }

  /** Listens when it resolves; rejects when it can't. Keeps no process alive. */
  static async listen(path: string, answer: Answering): Promise<Agent> {
    const agent = new Agent(answer)
    await new Promise<void>((resolve, reject) => {
      agent.#server.once("error", reject)
      agent.#server.listen(path, resolve)
    })
    agent.#server.unref()
    return agent
  }

  close(): void {
    this.#server.close()
  }

  #serve(socket: Socket): void {
    const chunks: Array<Buffer> = []
    let size = 0
    socket.setTimeout(REQUEST_MS, () => socket.destroy())
    socket.on("error", () => socket.destroy())
    socket.on("data", (chunk: Buffer) => {
      size += chunk.length
      chunks.push(chunk)
      if (size > REQUEST) socket.destroy()
    })
    socket.on("end", () => {
      socket.setTimeout(0)
      void this.#reply(Buffer.concat(chunks).toString("utf8")).then((answer) => {
        socket.end(`${JSON.stringify(answer)}\n`)
      })
    })
  }

  async #reply(text: string): Promise<AgentAnswer> {
    const request = readRequest(text)
    if (request === null)
      return refused("bad_request", "the run around this process does not understand: are both of the same version?")
    return await this.#answer(request)
  }
}
