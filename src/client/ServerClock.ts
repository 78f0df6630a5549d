import type { Platform } from "./Platform.ts"

/**
 * The server's clock, from one look at it on (PROTOCOL §3: the offset that `hello` gave), so that neither this machine's
 * clock nor whoever sets it matters to what has expired. Where monotonic time stands still while a machine sleeps
 * (Platform.ts) it is late by the sleep until the next `hello`: no session outlives two of the server's pings, so that this is
 * about a minute, but a command that had arrived before a longer sleep may be begun right after it.
 */
export class ServerClock {
  readonly #platform: Platform
  readonly #offsetMs: number

  /** `now`: what it shows at this moment, epoch milliseconds. */
  constructor(platform: Platform, now: number) {
    this.#platform = platform
    this.#offsetMs = now - platform.monotonic()
  }

  /** Epoch milliseconds. */
  get now(): number {
    return this.#platform.monotonic() + this.#offsetMs
  }
}
