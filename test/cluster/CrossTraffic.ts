import { isDeepStrictEqual } from "node:util"
import { setTimeout as delay } from "node:timers/promises"
import type { RawNode, RawNodeOptions } from "../harness/RawNode.ts"
import { type Answer, post, rest } from "../harness/Rest.ts"
import { attach, childOf, rootOf } from "../harness/TestNode.ts"
import type { Cluster } from "./Cluster.ts"
import type { Replica } from "./Replica.ts"

export const trafficKinds = ["command", "cascade", "wait"] as const
export type TrafficKind = (typeof trafficKinds)[number]

/** From asking to the answer, milliseconds, in the order of the answers. */
export type Took = Readonly<Record<TrafficKind, ReadonlyArray<number>>>

/** For each command so many of the kind begin. */
const SHARE: Readonly<Record<TrafficKind, number>> = { command: 1, cascade: 1 / 8, wait: 1 / 4 }
/** Milliseconds after which an answer is not waited for any more, and nodes of a cascade are forced: P20's. */
const PATIENCE_MS = 30_000
/** So long somebody waits for an end before it comes. */
const AHEAD_MS = 100
/** One in so many commands is answered so much later, milliseconds: polls come by meanwhile, and must not tell it again. */
const SLOW_EACH = 4
const SLOW_MS = 1500
/** Nodes at each replica that are commanded, and leaves of a cascade. */
const TARGETS = 4
const LEAVES = 3

interface CommandView {
  readonly state: string
  readonly ack: boolean | null
  readonly result: unknown
}

interface CascadeView {
  readonly id: string
  readonly state: string
  readonly total: number
  readonly counts: Readonly<Record<string, number>>
}

interface WaitView {
  readonly status: string
  readonly outcome: { readonly payload: unknown } | null
}

/**
 * What nobody but another replica can carry out: commands, cascades and waits, each asked for once, at a replica that does
 * not hold the node. The nodes are raw: they see each frame that they are told, repetitions too.
 */
export class CrossTraffic implements AsyncDisposable {
  /** What has gone wrong so far, for people. */
  readonly wrong: Array<string> = []
  readonly #replicas: ReadonlyArray<Replica>
  readonly #targets: Array<{ readonly at: number; readonly node: RawNode }> = []
  /** How often each command, or cancel of a node, was told. */
  readonly #told = new Map<string, number>()
  #count = 0

  private constructor(cluster: Cluster) {
    this.#replicas = cluster.replicas
  }

  /** Resolves when the nodes that are commanded are attached. */
  static async begin(cluster: Cluster): Promise<CrossTraffic> {
    const traffic = new CrossTraffic(cluster)
    for (let at = 0; at < traffic.#replicas.length * TARGETS; at++) {
      const node: RawNode = await traffic.#root(at, (control) => {
        const { k } = control.payload as { readonly k: number }
        traffic.#tell(`command ${k}`)
        if (k % SLOW_EACH !== 0) return { result: control.payload }
        setTimeout(() => node.answer(control, { result: control.payload }), SLOW_MS)
        return null
      })
      traffic.#targets.push({ at, node })
    }
    return traffic
  }

  /**
   * Begins some all the time, for so long, whatever becomes of those before them; resolves when all of them are through.
   * `rate`: commands per second.
   */
  async run(forMs: number, rate: number): Promise<Took> {
    const took = { command: [] as Array<number>, cascade: [] as Array<number>, wait: [] as Array<number> }
    const run = {
      command: (k: number) => this.#command(k),
      cascade: (k: number) => this.#cascade(k),
      wait: (k: number) => this.#wait(k)
    }
    const until = performance.now() + forMs
    const produce = async (kind: TrafficKind): Promise<void> => {
      const everyMs = 1000 / (rate * SHARE[kind])
      const begun: Array<Promise<void>> = []
      for (let next = performance.now(); next < until; next += everyMs) {
        await delay(Math.max(0, next - performance.now()))
        const k = ++this.#count
        begun.push(
          run[kind](k).then(
            (ms) => void took[kind].push(Math.round(ms)),
            (error: unknown) => void this.wrong.push(`${kind} ${k}: ${String(error)}`)
          )
        )
      }
      await Promise.all(begun)
    }
    await Promise.all(trafficKinds.map(produce))
    return took
  }

  /** What was not told exactly once by now. */
  get repeated(): ReadonlyArray<string> {
    return [...this.#told].filter(([, times]) => times !== 1).map(([what, times]) => `${what} was told ${times} times`)
  }

  /** The nodes leave without a word. */
  async [Symbol.asyncDispose](): Promise<void> {
    await leave(this.#targets.map(({ node }) => node))
  }

  #at(index: number): Replica {
    return this.#replicas[index % this.#replicas.length]!
  }

  async #root(at: number, onControl?: RawNodeOptions["onControl"]): Promise<RawNode> {
    const replica = this.#at(at)
    const node = rootOf(replica, { startDeadline: 0 }, onControl === undefined ? {} : { onControl })
    await attach(replica, node)
    return node
  }

  #tell(what: string): void {
    this.#told.set(what, (this.#told.get(what) ?? 0) + 1)
  }

  async #command(k: number): Promise<number> {
    const { at, node } = this.#targets[k % this.#targets.length]!
    const from = performance.now()
    const body = { action: "once", payload: { k }, timeoutMs: PATIENCE_MS }
    const view = (await asked(
      post(this.#at(at + 1).http, `apps/${node.appId}/control`, body, patient())
    )) as CommandView
    const took = performance.now() - from
    if (view.state !== "answered" || view.ack !== true || !isDeepStrictEqual(view.result, { k })) {
      throw new Error(`ended as ${JSON.stringify(view)}`)
    }
    return took
  }

  /** A parent at one replica, its children at all of them. */
  async #cascade(k: number): Promise<number> {
    const cancelled: Array<string> = []
    const onControl: RawNodeOptions["onControl"] = ({ app_id }) => {
      cancelled.push(app_id)
      this.#tell(`cancel of ${app_id} in cascade ${k}`)
      return { result: null }
    }
    const top = await this.#root(k, onControl)
    const leaves = Array.from({ length: LEAVES }, (_, index) => {
      const replica = this.#at(k + index)
      return { replica, node: childOf(replica, top, { startDeadline: 0 }, { onControl }) }
    })
    await Promise.all(leaves.map(({ node, replica }) => attach(replica, node)))
    const from = performance.now()
    const body = { reason: `cascade ${k}`, graceMs: PATIENCE_MS }
    const path = `apps/${top.appId}/cancel?cascade=true`
    const { id } = (await asked(post(this.#at(k + 1).http, path, body, patient()))) as CascadeView
    const view = (await asked(
      rest(this.#at(k + 2).http, `cascades/${id}?timeout=${PATIENCE_MS}ms`, patient())
    )) as CascadeView
    const took = performance.now() - from
    await leave([top, ...leaves.map(({ node }) => node)])
    if (view.state !== "done" || view.total !== LEAVES + 1 || view.counts["acked"] !== view.total) {
      throw new Error(`ended as ${JSON.stringify(view)}`)
    }
    if (cancelled.at(-1) !== top.appId) throw new Error("a parent was told before its children had ended")
    return took
  }

  /** From the end of a node until who waits for it elsewhere is told. */
  async #wait(k: number): Promise<number> {
    const node = await this.#root(k)
    const end = async (): Promise<number> => {
      await delay(AHEAD_MS)
      node.result({ k })
      return performance.now()
    }
    const waiting = rest(this.#at(k + 1).http, `apps/${node.appId}/wait?timeout=${PATIENCE_MS}ms`, patient())
    const [told, from] = await Promise.all([asked(waiting), end()])
    const took = performance.now() - from
    const view = told as WaitView
    await leave([node])
    if (view.status !== "done" || !isDeepStrictEqual(view.outcome?.payload, { k })) {
      throw new Error(`told ${JSON.stringify(view)}`)
    }
    return took
  }
}

/** Longer than the server may: it shall answer itself. */
const patient = (): RequestInit => ({ signal: AbortSignal.timeout(2 * PATIENCE_MS) })

const asked = async (answer: Promise<Answer>): Promise<unknown> => {
  const { body, status } = await answer
  if (status >= 300) throw new Error(`refused: ${status} ${JSON.stringify(body)}`)
  return body
}

const leave = async (nodes: ReadonlyArray<RawNode>): Promise<void> => {
  await Promise.all(nodes.flatMap(({ wire }) => (wire === null ? [] : [wire.close()])))
}
