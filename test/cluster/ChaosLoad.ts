import { setTimeout as delay } from "node:timers/promises"
import type { NodeState } from "../../src/protocol/Frames.ts"
import { AckBook } from "../harness/AckBook.ts"
import type { ClientBook } from "../harness/LogChecker.ts"
import { type Random, seeded } from "../harness/Random.ts"
import { TallyBook } from "../harness/TallyBook.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { Fleet } from "../system/Fleet.ts"
import type { Cluster } from "./Cluster.ts"
import { Crowd } from "./Crowd.ts"
import { Errands } from "./Errands.ts"

export interface LoadPlan {
  /** That stay for the whole run: half of them raw, half of the client library. */
  readonly nodes: number
  /** Status reports per second, of all together. */
  readonly rate: number
  readonly seed: number
  /** Finishers that end one after the other. */
  readonly finishers: number
  /** A raw node gives a server up that is silent for so long, milliseconds. */
  readonly silenceMs: number
}

/** A root and these children. */
const CHILDREN = 4
/** Of the reports, those of the library's nodes. */
const SDK_SHARE = 0.2
const TICK_MS = 20

/** Everything that clients do to a cluster during a chaos run, and what they were told. */
export class ChaosLoad {
  readonly fleet: Fleet
  readonly crowd: Crowd
  readonly errands: Errands
  /** Nodes that run from beginning to end. */
  readonly stable: ReadonlyArray<string>
  /** Reports that the client library did not take. */
  readonly untaken: Array<string> = []
  readonly #acks: ReadonlyMap<string, AckBook>
  readonly #tallies = new Map<string, TallyBook>()
  readonly #random: Random
  readonly #halt = new AbortController()
  readonly #producer: Promise<void>

  private constructor(
    parts: { fleet: Fleet; crowd: Crowd; acks: ReadonlyMap<string, AckBook> },
    cluster: Cluster,
    plan: LoadPlan
  ) {
    this.fleet = parts.fleet
    this.crowd = parts.crowd
    this.#acks = parts.acks
    this.#random = seeded(plan.seed + 2)
    for (const { appId } of this.crowd.all) this.#tallies.set(appId, new TallyBook())
    this.stable = [...this.fleet.steady, ...this.crowd.all].map(({ appId }) => appId)
    this.errands = new Errands({
      http: cluster.http,
      crowd: this.crowd,
      others: this.fleet.steady.map(({ appId }) => appId),
      random: seeded(plan.seed + 3)
    })
    this.#producer = this.#produce(plan.rate * SDK_SHARE)
  }

  /** Resolves when everybody is attached. */
  static async begin(cluster: Cluster, plan: LoadPlan): Promise<ChaosLoad> {
    const families = Math.max(1, Math.round(plan.nodes / 2 / (CHILDREN + 1)))
    const crowd = await Crowd.gather(cluster, { families, children: CHILDREN })
    const acks = new Map<string, AckBook>()
    const fleet = new Fleet(cluster, {
      steady: Math.max(1, plan.nodes - families * (CHILDREN + 1)),
      finishers: plan.finishers,
      rate: plan.rate * (1 - SDK_SHARE),
      random: seeded(plan.seed + 1),
      silenceMs: plan.silenceMs,
      nodeOptions: (appId) => {
        const book = new AckBook()
        acks.set(appId, book)
        return { book, onControl: ({ payload }) => ({ result: payload }) }
      }
    })
    try {
      await waitUntil("the fleet is attached", () => fleet.isAttached, { withinMs: 30_000 })
      return new ChaosLoad({ fleet, crowd, acks }, cluster, plan)
    } catch (error) {
      await fleet.stop()
      await crowd[Symbol.asyncDispose]()
      throw error
    }
  }

  get books(): ReadonlyMap<string, ClientBook> {
    for (const node of this.crowd.all) this.#tallies.get(node.appId)!.settled(node.stats().acked)
    return new Map<string, ClientBook>([...this.#acks, ...this.#tallies])
  }

  /** Acked so far. */
  get acked(): number {
    let sum = 0
    for (const book of this.#acks.values()) sum += book.acked
    for (const node of this.crowd.all) sum += node.stats().acked
    return sum
  }

  get finals(): ReadonlyMap<string, NodeState> {
    return new Map([...this.fleet.finals, ...this.errands.finals])
  }

  /** Everybody says something; who has not been heard with that when it is asked, and the first few of them. */
  mark(): () => ReadonlyArray<string> {
    const raw = this.fleet.steady.map((node) => [node, node.status({ mark: true })] as const)
    const library = this.crowd.all.map((node) => {
      this.#report(node)
      return [node, this.#tallies.get(node.appId)!.frames] as const
    })
    return () => [
      ...raw.filter(([node, seq]) => (node.oldestUnacked ?? Infinity) <= seq).map(([{ appId }]) => `raw ${appId}`),
      ...library
        .filter(([node, k]) => node.stats().acked < k)
        .map(([node]) => `library ${node.appId} (${node.stats().state}: ${node.stats().reason})`)
    ]
  }

  /** What this node's client has last heard. */
  told(appId: string): string {
    const raw = this.fleet.steady.find((node) => node.appId === appId)
    if (raw !== undefined) return `raw, told ${JSON.stringify(raw.errors.slice(-3))}`
    return `library, ${JSON.stringify(this.crowd.all.find((node) => node.appId === appId)?.stats())}`
  }

  /** Nothing new begins; resolves when all that was sent is answered. */
  async settle(withinMs: number): Promise<void> {
    await Promise.all([this.#stopProducing(), this.fleet.stopProducing()])
    await Promise.race([
      this.errands.stop(),
      waitUntil("the errands are done", () => this.errands.openSince(Infinity).length === 0, { withinMs })
    ])
    await waitUntil(
      "everything sent is answered",
      () => this.fleet.inFlight === 0 && this.crowd.all.every((node) => node.stats().waiting === 0),
      { withinMs }
    )
  }

  /** They leave without a word. */
  async stop(): Promise<void> {
    await this.#stopProducing()
    await this.fleet.stop()
    await this.crowd[Symbol.asyncDispose]()
  }

  async #stopProducing(): Promise<void> {
    this.#halt.abort()
    await this.#producer
  }

  #report(node: Crowd["all"][number]): void {
    const answer = node.status(this.#tallies.get(node.appId)!.next())
    if (!answer.queued) this.untaken.push(`${node.appId}: ${answer.reason}: ${answer.message}`)
  }

  async #produce(rate: number): Promise<void> {
    const started = performance.now()
    let made = 0
    while (!this.#halt.signal.aborted) {
      const due = ((performance.now() - started) / 1000) * rate
      for (; made < due; made++) this.#report(this.#random.pick(this.crowd.all))
      await delay(TICK_MS)
    }
  }
}
