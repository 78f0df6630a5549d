import { askAgent } from "../client/askAgent.ts"
import type { HandOver } from "../client/HandOver.ts"
import type { JsonText } from "../client/JsonText.ts"
import type { LiveNode } from "../client/LiveNode.ts"
import type { CancelRequest, Queued } from "../client/TrailsNode.ts"
import { bequeath } from "./Bequest.ts"
import { isBusy, type RunIdentity } from "./RunIdentity.ts"
import type { ShownProcess } from "./runPlatform.ts"

/** Status reports that are kept until the run knows who it is. */
const EARLY = 1000
/** How long the end of a run is waited for that the server knows, or should know, milliseconds. */
const END_MS = 5000
/** As long as nothing has failed: on a machine with too much to do the first attempt may take its time. Milliseconds. */
const FIRST_ATTEMPT_MS = 60_000
/** Loading the client takes the processor; the end of a short command is noticed in time all the same. Milliseconds. */
const UNDISTURBED_MS = 50

export interface RunNodeOptions {
  readonly identity: RunIdentity
  /** Of the command. */
  readonly executable: string
  readonly onCancel: (request: CancelRequest) => Promise<unknown>
  /** From being asked to end to being killed, milliseconds: what `onCancel` may need. */
  readonly graceMs: number
  readonly warn: (text: string) => void
}

/**
 * - `stored`: the server has it all.
 * - `inherited`: a reporter goes on.
 * - `refused`: the server will not have it; that has been told.
 * - `never`: the server was never there, or has never known this run.
 */
export type Delivery = "stored" | "inherited" | "refused" | "never"

/** A run's last words. */
export interface LastWord {
  readonly kind: "Result" | "Error"
  readonly payload: JsonText
}

/**
 * The node that a run is. It comes into being beside the command, which waits for nothing: the client is loaded and the
 * certificate fetched meanwhile, and what is reported before goes in then.
 */
export class RunNode {
  readonly #options: RunNodeOptions
  readonly #off = new AbortController()
  #early: Array<JsonText | object> = []
  #dropped = 0
  #node: LiveNode | null = null
  #wasAttached = false
  #hasTold = false
  #lastFailure: string | null = null
  #fail: () => void = () => {}
  /** Some attempt to reach the server has failed. */
  readonly #failed = new Promise<void>((resolve) => (this.#fail = resolve))
  #begun: Promise<void> = Promise.resolve()
  #shown: ShownProcess | null = null

  constructor(options: RunNodeOptions) {
    this.#options = options
  }

  get isAttached(): boolean {
    return this.#node?.stats().state === "attached"
  }

  /** Why the server does not know this run. */
  get problem(): string {
    return this.#lastFailure ?? this.#node?.stats().reason ?? "no answer in time"
  }

  /** The command runs; `ended`: no more. */
  begin(pid: number, ended: Promise<unknown>): void {
    const { executable, identity } = this.#options
    if (identity.kind === "none") {
      this.#hasTold = true
      return
    }
    const shown = { pid, ppid: process.pid, executable }
    this.#shown = shown
    this.status({ state: "started", pid, executable })
    this.#begun = Promise.race([ended, pause(UNDISTURBED_MS)])
      .then(() => this.#register(shown))
      .catch((error: unknown) => this.#onFailure((error as Error).message))
  }

  /** Never blocks. */
  status(payload: JsonText | object): Queued {
    if (this.#node !== null) return this.#node.status(payload)
    if (this.#early.push(payload) > EARLY) {
      this.#early.shift()
      this.#dropped++
    }
    return { queued: true }
  }

  /** The last word; none: it was cancelled. Bounded in time, and the more so where there is nobody to hear it. */
  async end(word: LastWord | null): Promise<Delivery> {
    const over = this.#patience()
    await Promise.race([this.#begun, over])
    const node = this.#node
    if (node === null) {
      this.#off.abort()
      return this.#hasTold ? "refused" : "never"
    }
    if (word !== null) node.report(word.kind, word.payload, {})
    // The answer to the cancel is given in this turn: its farewell comes before that of `shutdown`.
    else await new Promise(setImmediate)
    await Promise.race([node.shutdown({ timeoutMs: FIRST_ATTEMPT_MS }), over])
    const { state } = node.stats()
    if (state === "refused") return "refused"
    const handOver = node.handOver()
    if (handOver === null) return "stored"
    return (await this.isExpected()) && (await this.#bequeath(handOver)) ? "inherited" : "never"
  }

  /** Resolves when it makes no sense to wait any longer. */
  async #patience(): Promise<void> {
    if (this.#wasAttached) return await pause(END_MS)
    await Promise.race([this.#failed, pause(FIRST_ATTEMPT_MS)])
    if (await this.isExpected()) await pause(END_MS)
  }

  /** Its server knows it, or the run around it: then it was there, and may be about to come back. */
  async isExpected(): Promise<boolean> {
    if (this.#wasAttached) return true
    const { agent, kind } = this.#options.identity
    if (kind !== "nested") return false
    try {
      const answer = await askAgent(agent!, { op: "whoami" })
      return answer.ok && "known" in answer && answer.known
    } catch (error) {
      return isBusy(error)
    }
  }

  async #bequeath(handOver: HandOver): Promise<boolean> {
    const seed = this.#options.identity.key.seed.toString("base64")
    return await bequeath({ handOver, seed, shown: this.#shown! })
  }

  async #register(shown: ShownProcess): Promise<void> {
    const { graceMs, identity, onCancel, warn } = this.#options
    const [{ LiveNode, makeInit, runPlatform }, info] = await Promise.all([
      import("./runClient.ts"),
      identity.certificate((error) => this.#onFailure(error.message), this.#off.signal)
    ])
    const init = makeInit(runPlatform(shown, (reason) => this.#onFailure(reason)))
    const node = await init({ info, seed: identity.key.seed, exitHook: false, onCancel, cancelGraceMs: graceMs, warn })
    if (!(node instanceof LiveNode)) {
      // An inactive one has told why.
      this.#hasTold = true
      return
    }
    this.#node = node
    void node.ready().then((isKnown) => (this.#wasAttached = isKnown))
    for (const payload of this.#early) node.status(payload)
    if (this.#dropped > 0) warn(`${this.#dropped} early status reports gave way to later ones`)
    this.#early = []
  }

  #onFailure(reason: string): void {
    // That it was called off says nothing.
    if (!this.#off.signal.aborted) this.#lastFailure = reason
    this.#fail()
  }
}

/** Keeps no process alive. */
const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds).unref()
  })
