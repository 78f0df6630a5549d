import type { LiveNode } from "../client/LiveNode.ts"
import type { Platform, SocketEvents } from "../client/Platform.ts"
import type { CancelRequest, Queued } from "../client/TrailsNode.ts"
import type { JsonText } from "../client/JsonText.ts"
import { bequeath } from "./Bequest.ts"
import type { RunIdentity } from "./RunIdentity.ts"

/** Status reports that are kept until the run knows who it is. */
const EARLY = 1000
/** How long the end of a run that the server knows is waited for, milliseconds. */
const END_MS = 5000
/** Loading the client takes the processor; the end of a short command is noticed in time all the same. Milliseconds. */
const UNDISTURBED_MS = 50

export interface RunNodeOptions {
  readonly identity: RunIdentity
  /** Of the command. */
  readonly executable: string
  readonly onCancel: (request: CancelRequest) => Promise<unknown>
  readonly warn: (text: string) => void
}

/**
 * - `stored`: the server has it all.
 * - `inherited`: a reporter goes on.
 * - `refused`: the server will not have it; that has been told.
 * - `never`: the server was never there, or has never known this run.
 */
export type Delivery = "stored" | "inherited" | "refused" | "never"

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
  /** Some attempt to reach the server, or the run around, has failed. */
  readonly #failed = new Promise<void>((resolve) => (this.#fail = resolve))
  #begun: Promise<void> = Promise.resolve()

  constructor(options: RunNodeOptions) {
    this.#options = options
  }

  /** The command runs; `ended`: no more. */
  begin(pid: number, ended: Promise<unknown>): void {
    this.status({ state: "started", pid, executable: this.#options.executable })
    this.#begun = Promise.race([ended, pause(UNDISTURBED_MS)])
      .then(() => this.#register(pid))
      .catch((error: unknown) => this.#onFailure(error as Error))
  }

  get isAttached(): boolean {
    return this.#node?.stats().state === "attached"
  }

  /** Why the server does not know this run. */
  get problem(): string {
    const stats = this.#node?.stats()
    return (
      (stats?.state === "refused" ? stats.reason : null) ?? this.#lastFailure ?? stats?.reason ?? "no answer in time"
    )
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

  /** The last word; none: it was cancelled. Bounded by END_MS, and by less where there is nobody to hear it. */
  async end(word: { readonly kind: "Result" | "Error"; readonly payload: JsonText } | null): Promise<Delivery> {
    const until = performance.now() + END_MS
    const rest = () => Math.max(0, until - performance.now())
    await Promise.race([this.#begun, this.#isHopeless(), pause(rest())])
    this.#off.abort()
    const node = this.#node
    if (node === null) return this.#hasTold ? "refused" : "never"
    if (word !== null) node.report(word.kind, word.payload, {})
    const inherited: Array<Promise<boolean>> = []
    const shutdown = node.shutdown({
      timeoutMs: rest(),
      onUnsent: (handOver) => {
        const seed = Buffer.from(this.#options.identity.key.seed).toString("base64")
        inherited.push(bequeath({ handOver, seed }))
      }
    })
    const isStored = await Promise.race([shutdown, this.#isHopeless().then(() => false)])
    if (isStored) return "stored"
    if (node.stats().state === "refused") return "refused"
    return (await inherited[0]) === true ? "inherited" : "never"
  }

  /**
   * A root that has never met its server and has already failed to. A run with ancestors was expected by somebody: its
   * server may be about to come back.
   */
  async #isHopeless(): Promise<void> {
    await this.#failed
    const hasHope = this.#options.identity.kind !== "root" || this.#wasAttached
    if (hasHope) await new Promise(() => {})
  }

  async #register(pid: number): Promise<void> {
    const { identity, onCancel, warn } = this.#options
    const [{ makeInit }, { LiveNode }, { nodePlatform }, info] = await Promise.all([
      import("../client/init.ts"),
      import("../client/LiveNode.ts"),
      import("../client/NodePlatform.ts"),
      identity.certificate((error) => this.#onFailure(error), this.#off.signal)
    ])
    const init = makeInit(this.#platform(nodePlatform, pid))
    const node = await init({ info, seed: identity.key.seed, exitHook: false, onCancel, warn })
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

  /** The process that the tree shows is the command, not the wrapper. */
  #platform(platform: Platform, pid: number): Platform {
    const { executable } = this.#options
    return {
      ...platform,
      processInfo: () => ({ ...platform.processInfo(), pid, ppid: process.pid, executable }),
      connect: (url, events) => platform.connect(url, this.#watched(events))
    }
  }

  #watched(events: SocketEvents): SocketEvents {
    let isOpen = false
    return {
      ...events,
      opened: () => {
        isOpen = true
        events.opened()
      },
      closed: (reason) => {
        if (!isOpen) this.#onFailure(new Error(reason))
        events.closed(reason)
      }
    }
  }

  #onFailure(error: Error): void {
    // That it was called off says nothing.
    if (!this.#off.signal.aborted) this.#lastFailure = error.message
    this.#fail()
  }
}

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds).unref()
  })
