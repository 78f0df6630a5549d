import { setTimeout as delay } from "node:timers/promises"
import { type AdminSigner, readAdminKey } from "./AdminSigner.ts"
import { isLost, notTrailsd, type Problem, readProblem, refused, unanswered } from "./ApiProblem.ts"
import type { CliError } from "./CliError.ts"
import { type HttpAnswer, httpCall, HttpFailure } from "./HttpCall.ts"
import { LostAnswer } from "./LostAnswer.ts"
import type { ServerPlace } from "./ServerPlace.ts"

export interface ApiAnswer {
  /** The exact text of the body. */
  readonly text: string
  /** Decoded; numbers beyond 2^53 are rounded here, not in `text`. */
  readonly json: unknown
  /** The server's clock when it answered, epoch milliseconds: ours, unless its `Date` differs from it. */
  readonly now: number
}

export interface ApiCall {
  /** Milliseconds for one request; a long poll adds its own. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

const REQUEST_MS = 15_000
/** How often the same is asked: of a server that says "try again", and of one whose answer was lost. */
const MOST_TRIES = 5
/** Pauses after lost answers, milliseconds: together as long as a server takes to come back. */
const PAUSES_MS = [300, 600, 1200, 2400] as const
/** Nobody waits longer than that for another try, milliseconds. */
const REPEAT_MS = 30_000
/** For an answer on its way when the time is over, milliseconds. */
const SLACK_MS = 2000

/** Reads the REST API of one server (docs/rest.md). Every refusal is a CliError that says what to do. */
export class Api {
  readonly place: ServerPlace
  #signer: AdminSigner | null = null
  #signs: boolean
  readonly #deadline: number

  /** `timeoutMs`: for all that is asked, and for all waiting, from now; infinite for none. */
  constructor(place: ServerPlace, timeoutMs: number = Number.POSITIVE_INFINITY) {
    this.place = place
    this.#deadline = performance.now() + timeoutMs
    this.#signs = place.level !== null && place.level !== "open" && place.adminKeyFile !== null
  }

  get leftMs(): number {
    return Math.max(0, this.#deadline - performance.now())
  }

  /** Reads the administrator's key once; throws a CliError (77). Null when none is known for this server. */
  signer(): AdminSigner | null {
    if (this.#signer === null && this.place.adminKeyFile !== null) this.#signer = readAdminKey(this.place.adminKeyFile)
    return this.#signer
  }

  /** `path` below `/api/v1/`. A server that is away fails at once; one that is busy is asked a few times more. */
  async get(path: string, query: Readonly<Record<string, string>> = {}, call: ApiCall = {}): Promise<ApiAnswer> {
    const url = new URL(`${this.place.url}/api/v1/${path}`)
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
    return await this.#call(url, call, null)
  }

  /**
   * The same for a call that changes something; `body` is sent as JSON, a text of it as it is, null for none. When its answer
   * is lost it is repeated as it is: so must its meaning be. Throws a LostAnswer when nobody knows what became of it.
   */
  async post(path: string, body: object | string | null, call: ApiCall = {}): Promise<ApiAnswer> {
    const text = body === null ? "" : typeof body === "string" ? body : JSON.stringify(body)
    return await this.#call(new URL(`${this.place.url}/api/v1/${path}`), call, text)
  }

  async #call(url: URL, call: ApiCall, body: string | null): Promise<ApiAnswer> {
    const until = Math.min(performance.now() + REPEAT_MS, this.#deadline)
    let mayBeDone = false
    for (let tries = 1; ; tries++) {
      const answer = await this.#ask(url, call, body)
      if (answer instanceof HttpFailure) mayBeDone ||= body !== null && isLost(answer)
      else if (answer.status < 400) return this.#decode(answer)
      else mayBeDone ||= body !== null && answer.status >= 500
      const problem = answer instanceof HttpFailure ? null : readProblem(answer)
      if (problem?.code === "signature_missing" && !this.#signs && this.signer() !== null) {
        this.#signs = true
        continue
      }
      const isWorthIt = problem === null ? mayBeDone : problem.status === 503
      if (!isWorthIt || tries === MOST_TRIES || performance.now() >= until || call.signal?.aborted === true) {
        const failure = this.#failure(url, answer, problem)
        throw mayBeDone ? new LostAnswer(failure) : failure
      }
      const pause = answer instanceof HttpFailure || problem === null ? PAUSES_MS[tries - 1] : retryAfter(answer)
      await delay(Math.min(pause ?? 0, this.leftMs), null, signalOf(call))
    }
  }

  #failure(url: URL, answer: HttpAnswer | HttpFailure, problem: Problem | null): CliError {
    if (answer instanceof HttpFailure) return unanswered(this.place, answer)
    if (problem === null) return notTrailsd(this.place, `it answers ${answer.status} to ${url.pathname}`)
    return refused(this.place, problem, this.#signs ? (this.#signer?.publicKey ?? null) : null)
  }

  async #ask(url: URL, call: ApiCall, body: string | null): Promise<HttpAnswer | HttpFailure> {
    const method = body === null ? "GET" : "POST"
    const signed = this.#signs ? this.signer()?.headers(method, url, body ?? "") : undefined
    const typed = body === null || body === "" ? undefined : { "content-type": "application/json" }
    try {
      return await httpCall(url, {
        method,
        ...(body === null || body === "" ? {} : { body }),
        headers: { accept: "application/json", ...typed, ...signed },
        timeoutMs: Math.min(call.timeoutMs ?? REQUEST_MS, this.leftMs + SLACK_MS),
        signal: call.signal
      })
    } catch (error) {
      if (error instanceof HttpFailure) return error
      throw error
    }
  }

  #decode(answer: HttpAnswer): ApiAnswer {
    if (!/^application\/(?:[\w.-]+\+)?json\b/.test(answer.headers["content-type"] ?? ""))
      throw notTrailsd(this.place, "it does not answer in JSON")
    let json: unknown
    try {
      json = JSON.parse(answer.text)
    } catch {
      throw notTrailsd(this.place, "what it answers is not JSON")
    }
    if (typeof json !== "object" || json === null || Array.isArray(json))
      throw notTrailsd(this.place, "what it answers is no JSON object")
    return { text: answer.text, json, now: serverClock(answer) }
  }
}

const signalOf = ({ signal }: ApiCall) => (signal === undefined ? {} : { signal })

/** `Date` has whole seconds: within two of them our own clock is the better one. */
const serverClock = (answer: HttpAnswer): number => {
  const ours = Date.now()
  const theirs = Date.parse(answer.headers.date ?? "")
  return Math.abs(theirs - ours) > 2000 ? theirs : ours
}

/** Milliseconds, within reason. */
const retryAfter = (answer: HttpAnswer): number => {
  const seconds = Number(answer.headers["retry-after"] ?? 1)
  return Math.min(Math.max(Number.isFinite(seconds) ? seconds : 1, 0.2), 5) * 1000
}
