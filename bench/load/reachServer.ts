import { once } from "node:events"
import { WebSocket } from "ws"
import { isWeaker } from "../../src/protocol/Level.ts"
import { decodeServerFrame } from "../../src/protocol/ServerFrameDecoder.ts"
import { EXIT, LoadError, reasonOf } from "./LoadError.ts"
import type { LoadFlags } from "./LoadFlags.ts"

const WITHIN_MS = 10_000

/** The first text of the server; null for legacy clients, which get none before they register. */
const greet = async (url: URL, legacy: boolean): Promise<string | null> => {
  const socket = new WebSocket(url, legacy ? [] : ["trails.v1"], {
    handshakeTimeout: WITHIN_MS,
    perMessageDeflate: false
  })
  try {
    const signal = AbortSignal.timeout(WITHIN_MS)
    const [data] = (await once(socket, legacy ? "open" : "message", { signal })) as [Buffer?]
    return data?.toString() ?? null
  } finally {
    socket.on("error", () => {})
    socket.terminate()
  }
}

/** Whether at least one server answers and takes nodes of this level. Fails with a `LoadError` that says what to do. */
export const reachServer = async ({ legacy, level, urls }: LoadFlags): Promise<void> => {
  const reasons: Array<string> = []
  for (const url of urls) {
    let text: string | null
    try {
      text = await greet(url, legacy)
    } catch (error) {
      const isLate = error instanceof Error && error.name === "AbortError"
      reasons.push(`${url.href}: ${isLate ? `no answer within ${WITHIN_MS / 1000} s` : reasonOf(error)}`)
      continue
    }
    if (text === null) return
    const decoded = decodeServerFrame(text)
    if (!("frame" in decoded) || decoded.frame.type !== "hello") {
      reasons.push(`${url.href}: it does not greet with hello`)
      continue
    }
    const least = decoded.frame.level
    if (isWeaker(level, least))
      throw new LoadError(1, `${url.href} takes no node below ${least}: run with --level ${least}.`)
    return
  }
  throw new LoadError(
    EXIT.unavailable,
    `No server answers.\n${reasons.map((reason) => `  ${reason}`).join("\n")}\nStart one with npm start, or name another with --url.`
  )
}
