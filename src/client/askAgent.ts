import { connect } from "node:net"
import type { AgentAnswer, AgentRequest } from "./AgentMessage.ts"

/** A run answers from memory. What it has to ask its server for, it does not wait for longer than this itself. */
const ANSWER_MS = 5000
const ANSWER_BYTES = 256 * 1024

/** The request as it goes over the socket: see AgentMessage.ts. */
export const agentText = (request: AgentRequest): string => {
  if (request.op !== "report") return `${JSON.stringify(request)}\n`
  const { payload, ...head } = request
  return `${JSON.stringify(head)}\n${payload}`
}

/** Nobody answers there. `code`: Node's. */
export class AgentUnreachable extends Error {
  readonly code: string | undefined

  constructor(message: string, code: string | undefined) {
    super(message)
    this.name = "AgentUnreachable"
    this.code = code
  }
}

/**
 * One question to the `trails run` that listens at `path`. Rejects with AgentUnreachable when nobody does, or the answer
 * can't be read.
 */
export const askAgent = (path: string, request: AgentRequest): Promise<AgentAnswer> =>
  new Promise((resolve, reject) => {
    const socket = connect({ path })
    let text = ""
    const fail = (reason: string, code: AgentUnreachable["code"] = "EPROTO"): void => {
      socket.destroy()
      reject(new AgentUnreachable(`${path}: ${reason}`, code))
    }
    socket.setEncoding("utf8")
    socket.setTimeout(ANSWER_MS, () => fail("no answer", "ETIMEDOUT"))
    socket.on("data", (chunk: string) => {
      text += chunk
      if (text.length > ANSWER_BYTES) fail("the answer is too long")
    })
    socket.on("error", (error: NodeJS.ErrnoException) => fail(error.message, error.code))
    socket.on("end", () => {
      try {
        resolve(JSON.parse(text) as AgentAnswer)
      } catch {
        fail("the answer is no JSON")
      }
    })
    socket.end(agentText(request))
  })
