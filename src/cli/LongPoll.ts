import { setTimeout as delay } from "node:timers/promises"
import { Backoff } from "../client/Backoff.ts"
import type { Api, ApiAnswer } from "./Api.ts"
import { CliError, EXIT } from "./CliError.ts"

/** Seconds that one request waits: below what proxies and gateways cut. */
const PIECE_S = 25
/** Beyond the server's own waiting, for the way there and back. */
const GRACE_MS = 15_000
/** People watch: nobody wants to wait half a minute for a server that is back. */
const LONGEST_PAUSE_MS = 3000

/** Least time between two requests for the same, milliseconds: a server that does not wait is not asked all the time. */
const FLOOR_MS = 200

/** A function, since the compiler takes the flag for a constant. */
const isCalledOff = (signal: AbortSignal | undefined): boolean => signal?.aborted === true

/** Told when a server is lost, and when it is back. */
export type Notice = (text: string) => void

/**
 * Waits at one server for long, by requests that each wait for a while. Once it has answered, a server that goes away is
 * asked until it is back: it may be restarted meanwhile. One that has never answered fails at once.
 */
export class LongPoll {
  readonly api: Api
  readonly #notice: Notice
  #answered: boolean
  #lost = false
  /** What was asked last at each path, and when. */
  readonly #pieces = new Map<string, { readonly query: string; readonly at: number }>()

  /** `hasAnswered`: the server has been there just now, by another request. All waiting ends with the time of `api`. */
  constructor(api: Api, notice: Notice, hasAnswered = false) {
    this.api = api
    this.#notice = notice
    this.#answered = hasAnswered
  }

  get isOver(): boolean {
    return this.api.leftMs === 0
  }

  /** One request that does not wait. */
  once(path: string, query: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<ApiAnswer | null> {
    return this.#persist(() => this.api.get(path, query, signal === undefined ? {} : { signal }), signal)
  }

  /**
   * One request that waits as long as is left, within the piece; null when the time is over before an answer. The same one
   * again means that there was nothing new.
   */
  async piece(path: string, query: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<ApiAnswer | null> {
    const last = this.#pieces.get(path)
    const asked = JSON.stringify(query)
    const early = last?.query === asked ? last.at + FLOOR_MS - performance.now() : 0
    if (early > 0) await delay(Math.min(early, this.api.leftMs), null, { signal }).catch(() => null)
    if (isCalledOff(signal)) return null
    this.#pieces.set(path, { query: asked, at: performance.now() })
    return await this.#persist(() => {
      const milliseconds = Math.ceil(Math.min(this.api.leftMs, PIECE_S * 1000))
      return this.api.get(
        path,
        { ...query, timeout: `${milliseconds}ms` },
        { timeoutMs: milliseconds + GRACE_MS, ...(signal === undefined ? {} : { signal }) }
      )
    }, signal)
  }

  async #persist(ask: () => Promise<ApiAnswer>, signal: AbortSignal | undefined): Promise<ApiAnswer | null> {
    const backoff = new Backoff(Math.random)
    for (;;) {
      try {
        const answer = await ask()
        this.#answered = true
        if (this.#lost) this.#notice("trails: the server is back.")
        this.#lost = false
        return answer
      } catch (error) {
        if (isCalledOff(signal)) return null
        if (!this.#answered || !(error instanceof CliError) || error.exitCode !== EXIT.unavailable) throw error
        if (!this.#lost) this.#notice(`trails: ${error.message} Asking again until it answers.`)
        this.#lost = true
      }
      if (this.isOver) return null
      const pause = Math.min(backoff.next(), LONGEST_PAUSE_MS, this.api.leftMs)
      await delay(pause, null, signal === undefined ? {} : { signal }).catch(() => null)
      if (isCalledOff(signal)) return null
    }
  }
}
