import type { ServerResponse } from "node:http"
import type { Room } from "../actors/SessionPort.ts"
import type { WatchOutput } from "./WatchOutput.ts"

/** Milliseconds after which a client that reads by itself (EventSource) comes again. */
const RETRY_MS = 1000

const HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  // nginx would keep events back until a buffer is full.
  "x-accel-buffering": "no",
  connection: "close"
}

/**
 * Server-Sent Events. An event's id is the cursor behind it; a block without data sets the id alone, which browsers heed too
 * (HTML, §9.2.6), so that whoever comes again does not read what is not wanted a second time.
 */
export class SseStream implements WatchOutput {
  readonly #response: ServerResponse
  readonly #backlogBytes: number
  #hungry: (() => void) | null = null

  /** Its headers go out with what is written first. `onGone` is called once, when nothing can be sent any more. */
  constructor(response: ServerResponse, backlogBytes: number, onGone: () => void) {
    this.#response = response
    this.#backlogBytes = backlogBytes
    // The end comes by `close`, whatever it was.
    response.on("error", () => {})
    if (response.destroyed) process.nextTick(onGone)
    else response.once("close", onGone)
  }

  get room(): Room {
    const { destroyed, writableEnded, writableLength } = this.#response
    if (destroyed || writableEnded) return "gone"
    return writableLength < this.#backlogBytes ? "some" : "none"
  }

  whenRoom(then: () => void): void {
    // Asked again by the sweep: one listener is enough.
    if (this.#hungry === null) this.#response.once("drain", this.#feed)
    this.#hungry = then
  }

  open(cursor: string): void {
    this.#response.writeHead(200, HEADERS)
    this.#response.write(`retry: ${RETRY_MS}\nid: ${cursor}\n\n`)
  }

  event(cursor: string, json: string): void {
    this.#response.write(`id: ${cursor}\ndata: ${json}\n\n`)
  }

  cursor(cursor: string): void {
    this.#response.write(`: nothing new\nid: ${cursor}\n\n`)
  }

  end(cursor: string, reason: string): void {
    if (this.room !== "gone") this.#response.end(`: ${reason}\nid: ${cursor}\n\n`)
  }

  readonly #feed = (): void => {
    const then = this.#hungry
    this.#hungry = null
    then?.()
  }
}
