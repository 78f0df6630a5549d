import type { ProcessInfo } from "../protocol/Frames.ts"
import type { AgentAnswer, AgentRequest } from "./AgentMessage.ts"
import type { Cryptography } from "./Cryptography.ts"

/** What a socket tells its owner. */
export interface SocketEvents {
  readonly opened: () => void
  readonly message: (text: string) => void
  /** The peer lives: a ping of its, where the platform shows them. */
  readonly alive: () => void
  /** Once, however it ended; nothing is told afterwards. */
  readonly closed: (reason: string) => void
}

/** A WebSocket that offers the subprotocol `trails.v1` and closes when the server does not select it. */
export interface SocketPort {
  readonly send: (text: string) => void
  /** Closing handshake. */
  readonly close: () => void
  /** No closing handshake. */
  readonly terminate: () => void
}

/** A process that ends. */
export interface ExitWatcher {
  /** Nothing is left to do, but there is time: work may be started. */
  readonly idle: () => void
  /** It dies of this. */
  readonly failed: (error: unknown) => void
  /** It ends with this turn, with this exit code. */
  readonly ending: (code: number) => void
}

/** All that differs between Node, Deno, Bun and browsers. */
export interface Platform {
  readonly cryptography: Cryptography
  readonly environment: (name: string) => string | undefined
  readonly processInfo: () => ProcessInfo
  readonly connect: (url: string, events: SocketEvents) => SocketPort
  /** Asks the `trails run` around this process (`TRAILS_AGENT`); rejects where there is none. */
  readonly askAgent: (path: string, request: AgentRequest) => Promise<AgentAnswer>
  /** Whether `SocketEvents.alive` is ever called. */
  readonly showsPings: boolean
  /** Whether a socket to a server gets on while another one to it has not been answered yet. */
  readonly connectsBeside: boolean
  /** Epoch milliseconds. */
  readonly wallClock: () => number
  /**
   * Milliseconds, untouched by whoever sets the clock. Where a machine sleeps it may stand still meanwhile (Linux; browsers
   * as their system does): what is measured with it is then too short by the sleep.
   */
  readonly monotonic: () => number
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly newId: () => string
  /** Runs `task` after so many milliseconds and keeps no process alive for it; calls it off. */
  readonly later: (milliseconds: number, task: () => void) => () => void
  /** In another turn, as soon as possible. */
  readonly soon: (task: () => void) => void
  /** Keeps the process alive until what it returns is called. */
  readonly keepAlive: () => () => void
  readonly warn: (text: string) => void
  readonly watchExit: (watcher: ExitWatcher) => void
}
