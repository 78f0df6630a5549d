import { setTimeout as delay } from "node:timers/promises"
import { importPublicKey } from "../../src/actors/Ed25519.ts"
import { Gate } from "./Gate.ts"
import { LoadLink, type LinkContext } from "./LoadLink.ts"
import { LoadNode } from "./LoadNode.ts"
import type { LoadPlan } from "./LoadPlan.ts"
import { type Report, Tally } from "./Tally.ts"

/** How often the state of all nodes is looked at. No figure depends on it: ends are timed by acks. */
const LOOK_MS = 20
const PACE_MS = 5
/** With `rate`: what may be caught up after a pause, in seconds of it. */
const BURST_SECONDS = 0.1
const SILENCE_CHECK_MS = 1000
/** Without a single ack for so long, while some are due, the sending is given up. */
const PATIENCE_MS = 60_000
const DRAIN_MS = 30_000
/** For the nodes' ends. */
const LEAVE_MS = 10_000
const CLOSE_MS = 2000

/** The nodes of one process: attach, send, drain, leave; one after the other. */
export class NodeGroup {
  readonly tally = new Tally()
  readonly #plan: LoadPlan
  readonly #nodes: ReadonlyArray<LoadNode>
  readonly #links: ReadonlyArray<LoadLink>
  #isSending = false
  #isStopped = false
  #isFinished = false
  #watch: NodeJS.Timeout | undefined
  #tokens = 0
  #ackedInTime = 0
  #elapsedMs = 0

  constructor(plan: LoadPlan) {
    this.#plan = plan
    const options = {
      dialect: plan.legacy ? ("legacy" as const) : ("v1" as const),
      level: plan.level,
      window: plan.window,
      payload: plan.payload
    }
    const context: LinkContext = {
      urls: plan.urls,
      legacy: plan.legacy,
      serverKey: plan.serverKey === null ? null : importPublicKey(plan.serverKey),
      tally: this.tally,
      gate: new Gate(plan.width),
      mayWrite: () => this.#mayWrite()
    }
    this.#nodes = plan.births.map((birth) => new LoadNode(birth, options, this.tally))
    const count = Math.ceil(this.#nodes.length / plan.nodesPerSocket)
    this.#links = Array.from({ length: count }, (_, i) => {
      const nodes = this.#nodes.slice(i * plan.nodesPerSocket, (i + 1) * plan.nodesPerSocket)
      return new LoadLink(nodes, (plan.firstUrl + i) % plan.urls.length, context)
    })
  }

  /** Until every node has a session or is refused for good; or `stop`. */
  async attach(): Promise<void> {
    for (const link of this.#links) void link.run()
    this.#watch = setInterval(() => {
      for (const link of this.#links) link.cutIfSilent(performance.now())
    }, SILENCE_CHECK_MS)
    await this.#until(() => this.#isStopped || this.#nodes.every((node) => node.isBorn || node.isRefused))
  }

  /** Until the time is over, or every node has sent its share; or `stop`. */
  async send(): Promise<void> {
    if (this.#isStopped) return
    const { rate, seconds } = this.#plan
    const from = performance.now()
    const end = seconds === null ? Infinity : from + seconds * 1000
    this.#isSending = true
    this.#fillAll(0)
    const pace = rate === null ? null : this.#pace(rate)
    await this.#until(
      () =>
        this.#isStopped ||
        this.#nodes.every((node) => node.isFinished) ||
        (performance.now() - Math.max(from, this.tally.lastAckAt) > PATIENCE_MS &&
          this.#nodes.some((node) => !node.isSettled)),
      end
    )
    clearInterval(pace ?? undefined)
    this.#isSending = false
    this.#ackedInTime = this.tally.acked
    this.#elapsedMs = performance.now() - from
    await this.#drain()
    if (seconds !== null) return
    this.#ackedInTime = this.tally.acked
    this.#elapsedMs = Math.max(0, this.tally.lastAckAt - from)
  }

  /** Ends the nodes as done and closes their sockets. */
  async leave(): Promise<void> {
    const ending = this.#nodes.filter((node) => node.isBorn && !node.isRefused)
    for (const link of this.#links) link.leave()
    const isGone = (node: LoadNode) => node.isGone || node.isRefused || this.#plan.legacy
    await this.#until(
      () => this.#isFinished || this.#links.every((link) => !link.isConnected) || ending.every(isGone),
      performance.now() + LEAVE_MS
    )
    for (const link of this.#links) link.close()
    await this.#until(() => this.#links.every((link) => !link.isConnected), performance.now() + CLOSE_MS)
    clearInterval(this.#watch)
  }

  stop(): void {
    this.#isStopped = true
  }

  finish(): void {
    this.#isStopped = true
    this.#isFinished = true
  }

  get report(): Report {
    return {
      ...this.tally.counts,
      ackedInTime: this.#ackedInTime,
      elapsedMs: this.#elapsedMs,
      latency: this.tally.latency.toCounts(),
      problems: this.tally.problems
    }
  }

  async #drain(): Promise<void> {
    await this.#until(
      () => this.#isFinished || this.#nodes.every((node) => node.isSettled),
      performance.now() + DRAIN_MS
    )
  }

  #mayWrite(): boolean {
    if (!this.#isSending) return false
    if (this.#plan.rate === null) return true
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }

  /** Spreads the rate over the nodes in turn; what the windows hold back is caught up for a moment only. */
  #pace(rate: number): NodeJS.Timeout {
    let next = 0
    let last = performance.now()
    return setInterval(() => {
      const now = performance.now()
      this.#tokens = Math.min(this.#tokens + ((now - last) / 1000) * rate, Math.max(1, rate * BURST_SECONDS))
      last = now
      next = this.#fillAll(next)
    }, PACE_MS)
  }

  /** From the link `first` on, as long as something may be sent; gives the link to go on with. */
  #fillAll(first: number): number {
    const count = this.#links.length
    for (let i = 0; i < count; i++) {
      const link = this.#links[(first + i) % count]!
      for (const node of link.nodes) link.fill(node)
      if (this.#plan.rate !== null && this.#tokens < 1) return (first + i + 1) % count
    }
    return first
  }

  async #until(predicate: () => boolean, end = Infinity): Promise<void> {
    while (!predicate() && performance.now() < end) await delay(Math.min(LOOK_MS, Math.max(1, end - performance.now())))
  }
}
