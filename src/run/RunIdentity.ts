import { randomUUID } from "node:crypto"
import { basename } from "node:path"
import type { AgentRefusal } from "../client/AgentMessage.ts"
import { AgentUnreachable, askAgent } from "../client/askAgent.ts"
import { nodeCryptography } from "../client/NodeCryptography.ts"
import { childTraceparent } from "../client/TraceContext.ts"
import { decodeEnvelope, encodeEnvelope, encodeInfo, type Envelope, isEnvelopeProblem } from "../protocol/Envelope.ts"
import { asTraceparent } from "../protocol/FieldReader.ts"
import type { Level } from "../protocol/Frames.ts"
import { parseUuid } from "../protocol/Uuid.ts"
import { type Home, RunKey } from "./RunKey.ts"

/** What a run wants to be, when nobody has decided it before. */
export interface Wish {
  readonly name: string
  readonly tags: Readonly<Record<string, string>> | null
}

/** The server of new roots, as far as it is known without asking it. */
export interface KnownServer {
  /** WebSocket endpoint. */
  readonly endpoint: string
  readonly serverPubKey: string | null
  /** null: not known. */
  readonly level: Level | null
}

export interface RootRequest {
  readonly appId: string
  readonly appName: string
  readonly childKey: string
  readonly startDeadline: number
  readonly tags: Readonly<Record<string, string>> | null
  readonly traceparent: string | null
}

/** Whoever may found trees at that server. Both reject with an error whose message is for people. */
export interface RootAuthority {
  readonly describe: () => Promise<{ readonly level: Level; readonly serverPubKey: string | null }>
  /** The envelope's base64 of a root above level `open`. The same request twice is the same root. */
  readonly found: (request: RootRequest) => Promise<string>
  /** Whether the same may succeed later. */
  readonly isRetryable: (error: unknown) => boolean
}

export interface Surroundings {
  /** TRAILS_INFO; null: there is none. */
  readonly info: string | null
  /** Path of the socket of the run around this one. */
  readonly agent: string | null
  readonly traceparent: string | null
}

/** Between two attempts to be certified, milliseconds. */
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5000

/**
 * - `given`: TRAILS_INFO says who the run is.
 * - `nested`: a child of the run around it, by a certificate from there.
 * - `root`: of a tree of its own.
 * - `none`: TRAILS_INFO can't be read.
 */
export type Kind = "given" | "nested" | "root" | "none"

/** Empty variables are as good as none. */
export const surroundingsOf = (environment: NodeJS.ProcessEnv): Surroundings => ({
  info: environment["TRAILS_INFO"]?.trim() || null,
  agent: environment["TRAILS_AGENT"] || null,
  traceparent: asTraceparent(environment["TRACEPARENT"])
})

/** The run around this one has answered, and not with a certificate. */
class AgentRefused extends Error {
  readonly code: AgentRefusal

  constructor(code: AgentRefusal, message: string) {
    super(message)
    this.code = code
  }
}

/** The run around this one is there, and has too much to do, or too many callers at once. */
export const isBusy = (error: unknown): boolean =>
  error instanceof AgentUnreachable && (error.code === "EAGAIN" || error.code === "ETIMEDOUT")

/** It does not know itself yet, or is busy; a run that is gone does not come back. */
const mayAnswerLater = (error: unknown): boolean =>
  error instanceof AgentRefused ? error.code === "unavailable" : isBusy(error)

/**
 * Who a run is. Its id, its key and where its tree lives are known at once, because its command is started at once; the
 * certificate that a server takes may come later.
 * - A run whose TRAILS_INFO was issued by the run around it does not take it: that is the command's own, and a command may
 *   start many runs. The socket bears the id of its run as its name, which tells without asking.
 */
export class RunIdentity {
  readonly kind: Kind
  readonly key: RunKey
  readonly appId: string
  readonly name: string
  /** Why TRAILS_INFO can't be read. */
  readonly problem: string | null
  #home: Home
  #isSettled: boolean
  #attempted: () => void = () => {}
  readonly #firstAttempt = new Promise<void>((resolve) => (this.#attempted = resolve))
  readonly #around: Surroundings
  readonly #wish: Wish
  readonly #server: KnownServer
  readonly #authority: RootAuthority

  constructor(around: Surroundings, wish: Wish, server: KnownServer, authority: RootAuthority) {
    const envelope = around.info === null ? null : decodeEnvelope(around.info)
    const known = envelope === null || isEnvelopeProblem(envelope) ? null : envelope
    const runAround = around.agent === null ? null : parseUuid(basename(around.agent))
    const isOurs = known !== null && (runAround === null || known.parentId !== runAround)
    this.problem = envelope !== null && isEnvelopeProblem(envelope) ? envelope.problem : null
    this.kind = isOurs ? "given" : around.agent !== null ? "nested" : this.problem !== null ? "none" : "root"
    this.key = new RunKey()
    this.appId = isOurs ? known.appId : randomUUID()
    this.name = isOurs ? known.appName : wish.name
    this.#around = around
    this.#wish = wish
    this.#server = server
    this.#authority = authority
    this.#home = this.#firstHome(known)
    this.#isSettled = isOurs || (this.kind === "root" && server.level !== null)
  }

  /**
   * Whether what is known of the tree is more than a guess: before, nobody else can be certified. Waits so long for the
   * first attempt.
   */
  async settled(withinMs: number): Promise<boolean> {
    if (!this.#isSettled) await Promise.race([this.#firstAttempt, pause(withinMs)])
    return this.#isSettled
  }

  /** Path of the socket of the run around this one. */
  get agent(): string | null {
    return this.#around.agent
  }

  /** Where the tree lives: for the certificates of others. */
  get home(): Home {
    return this.#home
  }

  /**
   * The envelope's base64 with which this run may register. Repeats until it succeeds, tells of each failure that may pass,
   * and rejects with one that does not, or when it is called off. A run around it that is busy is no failure.
   */
  async certificate(onFailure: (error: Error) => void, signal: AbortSignal): Promise<string> {
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      try {
        const info = await this.#certificateNow()
        this.#isSettled = true
        return info
      } catch (error) {
        const mayPass = this.kind === "root" ? this.#authority.isRetryable(error) : mayAnswerLater(error)
        if (!mayPass) throw error
        if (!isBusy(error)) onFailure(error as Error)
      } finally {
        this.#attempted()
      }
      await pause(pauseMs, signal)
    }
  }

  async #certificateNow(): Promise<string> {
    const { agent, info } = this.#around
    if (this.kind === "given") return info!
    if (this.kind === "nested") {
      const answer = await askAgent(agent!, {
        op: "child",
        appId: this.appId,
        name: this.name,
        childKey: this.key.publicKey,
        tags: this.#wish.tags,
        traceparent: this.#home.traceparent
      })
      if (!answer.ok) throw new AgentRefused(answer.code, answer.message)
      if (!("info" in answer) || answer.info === null) throw new Error(`${agent}: an answer without a certificate`)
      this.#adopt(answer.info)
      return answer.info
    }
    const level = this.#server.level ?? (await this.#describe())
    return level === "open" ? this.#ownRoot() : await this.#foundRoot()
  }

  async #describe(): Promise<Level> {
    const { level, serverPubKey } = await this.#authority.describe()
    this.#home = { ...this.#home, secLevel: level, serverPubKey }
    return level
  }

  async #foundRoot(): Promise<string> {
    const info = await this.#authority.found({
      appId: this.appId,
      appName: this.name,
      childKey: this.key.publicKey,
      startDeadline: 0,
      tags: this.#wish.tags,
      traceparent: this.#home.traceparent
    })
    this.#adopt(info)
    return info
  }

  /** In level `open` a root makes itself (PROTOCOL §4). */
  #ownRoot(): string {
    const { secLevel, serverEp, serverPubKey, traceparent } = this.#home
    return encodeInfo(
      encodeEnvelope({
        appId: this.appId,
        parentId: null,
        appName: this.name,
        serverEp,
        serverPubKey,
        secLevel,
        scheduledAt: Date.now(),
        startDeadline: 0,
        tags: this.#wish.tags,
        traceparent
      })
    )
  }

  #adopt(info: string): void {
    const envelope = decodeEnvelope(info)
    if (isEnvelopeProblem(envelope)) throw new Error(envelope.problem)
    this.#home = homeOf(envelope)
  }

  #firstHome(known: Envelope | null): Home {
    const { agent, traceparent } = this.#around
    const below = (parent: string | null) =>
      parent === null ? null : childTraceparent(parent, nodeCryptography.random)
    if (known === null) {
      const { endpoint, level, serverPubKey } = this.#server
      return {
        serverEp: endpoint,
        serverPubKey,
        secLevel: level ?? "open",
        traceparent: below(traceparent),
        tracestate: null
      }
    }
    return agent === null || this.kind === "given"
      ? homeOf(known)
      : { ...homeOf(known), traceparent: below(known.traceparent) }
  }
}

const homeOf = ({ secLevel, serverEp, serverPubKey, traceparent, tracestate }: Envelope): Home => ({
  serverEp,
  serverPubKey,
  secLevel,
  traceparent,
  tracestate
})

/** Rejects when it is called off. Keeps no process alive. */
const pause = (milliseconds: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer)
      reject(new Error("called off"))
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop)
      resolve()
    }, milliseconds)
    timer.unref()
    signal?.addEventListener("abort", stop, { once: true })
  })
