import type { ErrorFrame, Limits, ServerFrame } from "../protocol/Frames.ts"

/** Why a session ended, as the socket's side saw it (PROTOCOL §7, the three rows on a lost socket). */
export type LossCause = "peer" | "heartbeat" | "server"

/** Whether a peer takes what can wait. `gone`: its socket is closing. */
export type Room = "some" | "none" | "gone"

/**
 * What an actor sees of one node's attachment to a socket. Transports implement it; none of the methods ever throws or
 * waits, and all are no-ops after the end.
 */
export interface SessionPort {
  /** UUID of the session. */
  readonly id: string
  readonly dialect: "v1" | "legacy"
  /** What the transport grants; goes into `registered`. */
  readonly terms: { readonly limits: Limits; readonly pingIntervalMs: number; readonly serverKey: string }
  /** Short, for logs: remote address. Never a secret. */
  readonly peer: string
  /** Hands a frame to the socket's writer, in order; signs it where the session's level asks. Returns the text sent. */
  readonly send: (frame: ServerFrame) => string
  /**
   * Returns the text `send` would send, without sending: `registered` and `control` are logged in the transaction that
   * precedes them. `application`: the exact JSON text of the application's value, in place of the frame's own.
   */
  readonly seal: (frame: ServerFrame, application?: string) => string
  /** Sends text made by `seal`. */
  readonly sendSealed: (text: string) => void
  /** Of the whole socket, what its nodes have set aside included. */
  readonly room: Room
  /** Calls `then` once when there may be room again; never when the socket ends first. */
  readonly whenRoom: (then: () => void) => void
  /** So many bytes are about to be sent; negative: they were, or will not be. */
  readonly setAside: (bytes: number) => void
  /** Gives back the credit of data frames that the actor has dealt with (acked or refused): back-pressure. */
  readonly settle: (messages: number, bytes: number) => void
  /** From now on the session is for stopping only (PROTOCOL §4): no declaration, no subscription. */
  readonly restrict: () => void
  /** Ends this node's session on its socket, after `error` if given. The socket stays for its other nodes. */
  readonly end: (error: ErrorFrame | null) => void
}
