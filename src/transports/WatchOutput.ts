import type { IncomingMessage, ServerResponse } from "node:http"
import type { Room } from "../actors/SessionPort.ts"

/** A request whose answer goes on, and its connection. */
export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Of a request for an upgrade: what came behind its headers. null: of any other. */
  readonly head: Buffer | null
}

/** Why a stream ends that nobody has left. Whoever comes again with his cursor, here or elsewhere, misses nothing. */
export type EndReason = "going away" | "failed; come again"

/** How one who watches is told. A cursor is where he goes on behind what he has. */
export interface WatchOutput {
  readonly room: Room
  readonly whenRoom: (then: () => void) => void
  /** First of all. */
  readonly open: (cursor: string) => void
  /** `json`: of an event, in one line. */
  readonly event: (cursor: string, json: string) => void
  /** Nothing has come, as far as this. */
  readonly cursor: (cursor: string) => void
  readonly end: (cursor: string, reason: EndReason) => void
}
