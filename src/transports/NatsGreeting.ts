import { connect } from "node:net"
import { Effect } from "effect"
import { NatsError } from "./NatsError.ts"

/** What a nats-server says of itself before anybody has logged in. */
export interface NatsGreeting {
  readonly version: string
  readonly name: string
}

const MAX_GREETING = 64 * 1024

/** Text of a stranger, for a log line. */
const word = (value: unknown): string =>
  typeof value === "string" ? value.replace(/[^\x21-\x7e]/g, "?").slice(0, 64) : "unknown"

export const readGreeting = (line: string): NatsGreeting | null => {
  const match = /^INFO\s+(\{.*\})\s*$/.exec(line)
  if (match === null) return null
  try {
    const info = JSON.parse(match[1]!) as { readonly version?: unknown; readonly server_name?: unknown }
    return { version: word(info.version), name: word(info.server_name) }
  } catch {
    return null
  }
}

/**
 * Asks a server who it is, over a connection of its own that is closed in every case, and fails after `limitMs`. The client
 * is only told to connect to a server that has answered here: it does not close the socket of a server that stays silent, and
 * would send its login to a server of any version.
 */
export const natsGreeting = (
  server: { readonly host: string; readonly port: number },
  limitMs: number
): Effect.Effect<NatsGreeting, NatsError> =>
  Effect.callback<NatsGreeting, NatsError>((resume) => {
    const socket = connect({ host: server.host, port: server.port })
    let text = ""
    const end = (answer: Effect.Effect<NatsGreeting, NatsError>) => {
      socket.destroy()
      resume(answer)
    }
    const away = (message: string) => Effect.fail(new NatsError({ reason: "Away", message }))
    socket.on("error", (error: NodeJS.ErrnoException) => end(away(CAUSES[error.code ?? ""] ?? "can't be reached")))
    socket.on("close", () => end(away("closes the connection")))
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1")
      const line = text.indexOf("\n")
      if (line < 0 && text.length < MAX_GREETING) return
      const greeting = line < 0 ? null : readGreeting(text.slice(0, line))
      end(greeting === null ? away("does not answer as a nats-server does") : Effect.succeed(greeting))
    })
    return Effect.sync(() => socket.destroy())
  }).pipe(
    Effect.timeoutOrElse({
      duration: limitMs,
      orElse: () => Effect.fail(new NatsError({ reason: "Away", message: "does not answer" }))
    })
  )

const CAUSES: Readonly<Record<string, string>> = {
  ECONNREFUSED: "refuses the connection",
  ECONNRESET: "closes the connection",
  EHOSTUNREACH: "can't be reached",
  ENETUNREACH: "can't be reached",
  ENOTFOUND: "has a name that is not known",
  EAI_AGAIN: "has a name that can't be looked up",
  ETIMEDOUT: "does not answer"
}
