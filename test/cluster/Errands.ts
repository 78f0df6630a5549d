import { isDeepStrictEqual } from "node:util"
import { setTimeout as delay } from "node:timers/promises"
import type { TrailsNode } from "../../src/client/TrailsNode.ts"
import type { NodeState } from "../../src/protocol/Frames.ts"
import { BitSet } from "../harness/BitSet.ts"
import type { Random } from "../harness/Random.ts"
import { type Answer, post, rest } from "../harness/Rest.ts"
import { born, type Crowd } from "./Crowd.ts"

export const errandKinds = ["command", "birth", "cascade"] as const
export type ErrandKind = (typeof errandKinds)[number]

/** Something that a client wants done, however often it has to ask. */
interface Errand {
  readonly kind: ErrandKind
  readonly name: string
  readonly from: number
}

export interface ErrandsPlan {
  /** By the balancer. */
  readonly http: string
  readonly crowd: Crowd
  /** Nodes besides the crowd's that answer `once` with its payload. */
  readonly others: ReadonlyArray<string>
  readonly random: Random
}

interface CommandView {
  readonly correlation_id: string
  readonly state: string
  readonly ack: boolean | null
  readonly result: unknown
  readonly error: string | null
}

interface CascadeView {
  readonly id: string
  readonly finished_at: string | null
  readonly total: number
  readonly counts: Readonly<Record<string, number>>
}

/** An attempt takes so much longer than its answer is waited for, at most, milliseconds. */
const PATIENCE_MS = 3000
const WAIT_MS = 4000
const AGAIN_MS = 100
const GRACE_MS = 20_000
const LEAVES = 3
/** How many of each kind are under way at once, and the pause between two of one runner, at most, milliseconds. */
const RUNNERS: Readonly<Record<ErrandKind, number>> = { command: 3, birth: 1, cascade: 1 }
const PAUSE_MS: Readonly<Record<ErrandKind, number>> = { command: 300, birth: 300, cascade: 3000 }

const OUTCOMES = ["acked", "forced", "unreachable", "already_terminal"] as const

/**
 * Clients that command nodes, bear them and wait for their ends, and cancel subtrees, all the time and through whichever
 * replica the balancer gives them. What has no answer is asked again, with the same key. An errand is done when its answer is
 * there; a wrong answer is kept in `wrong`.
 */
export class Errands {
  readonly wrong: Array<string> = []
  readonly done: Record<ErrandKind, number> = { command: 0, birth: 0, cascade: 0 }
  readonly worstMs: Record<ErrandKind, number> = { command: 0, birth: 0, cascade: 0 }
  /** Final states that somebody was told. */
  readonly finals = new Map<string, NodeState>()
  /** Nodes of cascades that had to be forced, or were away. */
  forced = 0
  readonly #plan: ErrandsPlan
  readonly #open = new Set<Errand>()
  readonly #ran = new BitSet()
  readonly #targets: ReadonlyArray<string>
  readonly #runners: ReadonlyArray<Promise<void>>
  #count = 0
  #stopping = false

  constructor(plan: ErrandsPlan) {
    this.#plan = plan
    const { all } = plan.crowd
    for (const node of all) node.on("once", (payload) => this.#once(payload as { readonly k: number }))
    this.#targets = [...all.map(({ appId }) => appId), ...plan.others]
    const run = {
      command: (k: number) => this.#command(k),
      birth: (k: number) => this.#birth(k),
      cascade: (k: number) => this.#cascade(k)
    }
    this.#runners = errandKinds.flatMap((kind) =>
      Array.from({ length: RUNNERS[kind] }, () => this.#keepRunning(kind, run[kind]))
    )
  }

  /** Those that had begun before and are not done, for people. */
  openSince(time: number): ReadonlyArray<string> {
    return [...this.#open].filter(({ from }) => from <= time).map(({ name }) => name)
  }

  /** No more begin; resolves when those under way are done. */
  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.all(this.#runners)
  }

  async #keepRunning(kind: ErrandKind, run: (k: number) => Promise<void>): Promise<void> {
    const { random } = this.#plan
    while (!this.#stopping) {
      const k = ++this.#count
      const errand = { kind, name: `${kind} ${k}`, from: performance.now() }
      this.#open.add(errand)
      try {
        await run(k)
      } catch (error) {
        this.wrong.push(`${errand.name}: ${String(error)}`)
      }
      this.#open.delete(errand)
      this.done[kind]++
      this.worstMs[kind] = Math.max(this.worstMs[kind], performance.now() - errand.from)
      await delay(random.int(PAUSE_MS[kind]) + 1)
    }
  }

  /** A client process runs each correlation id once (P6). */
  #once({ k }: { readonly k: number }): { readonly k: number } {
    if (!this.#ran.add(k)) this.wrong.push(`command ${k} ran twice`)
    return { k }
  }

  async #command(k: number): Promise<void> {
    const { http, random } = this.#plan
    const appId = random.pick(this.#targets)
    const body = { action: "once", payload: { k }, timeoutMs: WAIT_MS, ttlMs: 600_000, idempotencyKey: `chaos-${k}` }
    let view = (await insist((init) => post(http, `apps/${appId}/control`, body, init))) as CommandView
    while (view.state === "queued" || view.state === "delivered") {
      const path = `apps/${appId}/commands/${view.correlation_id}?timeout=${WAIT_MS}ms`
      view = (await insist((init) => rest(http, path, init))) as CommandView
    }
    if (view.state !== "answered" || view.ack !== true || !isDeepStrictEqual(view.result, { k })) {
      this.wrong.push(`command ${k} at ${appId} ended as ${JSON.stringify(view)}`)
    }
  }

  async #birth(k: number): Promise<void> {
    const { crowd, http, random } = this.#plan
    const { root } = random.pick(crowd.families)
    const child = await root.createChild(`short-${k}`)
    const ended = child.wait()
    const node = await born(child.info)
    node.status({ k: 1 })
    node.result({ k })
    const [outcome, left] = await Promise.all([ended, node.shutdown({ timeoutMs: 300_000 })])
    if (!left) this.wrong.push(`birth ${k}: the result of ${child.appId} was never acked`)
    if (outcome?.state !== "done" || !isDeepStrictEqual(outcome.result, { k })) {
      this.wrong.push(`birth ${k}: its parent saw ${child.appId} as ${JSON.stringify(outcome)}`)
    }
    this.finals.set(child.appId, "done")
    const view = (await insist((init) => rest(http, `apps/${child.appId}/wait?timeout=${WAIT_MS}ms`, init))) as {
      readonly status: string
    }
    if (view.status !== "done") this.wrong.push(`birth ${k}: waiting for ${child.appId} told ${JSON.stringify(view)}`)
  }

  async #cascade(k: number): Promise<void> {
    const { crowd, http, random } = this.#plan
    const { root } = random.pick(crowd.families)
    const branch = await root.createChild(`branch-${k}`)
    const top = await born(branch.info)
    const leaves: Array<TrailsNode> = []
    for (let i = 0; i < LEAVES; i++) leaves.push(await born((await top.createChild(`leaf-${i}`)).info))
    await Promise.all([top, ...leaves].map((node) => node.ready()))
    const body = { reason: `chaos ${k}`, graceMs: GRACE_MS, idempotencyKey: `chaos-${k}` }
    const path = `apps/${branch.appId}/cancel?cascade=true`
    let view = (await insist((init) => post(http, path, body, init))) as CascadeView
    while (view.finished_at === null) {
      view = (await insist((init) => rest(http, `cascades/${view.id}?timeout=${WAIT_MS}ms`, init))) as CascadeView
    }
    const counts = OUTCOMES.map((outcome) => view.counts[outcome] ?? 0)
    const sum = counts.reduce((a, b) => a + b, 0)
    if (view.total !== LEAVES + 1 || sum !== view.total) {
      this.wrong.push(`cascade ${k} ended as ${JSON.stringify(view)}`)
    }
    this.forced += counts[1]! + counts[2]!
    for (const { appId } of [top, ...leaves]) this.finals.set(appId, "cancelled")
    await Promise.all([top, ...leaves].map((node) => node.shutdown({ timeoutMs: 1 })))
  }
}

/** Asks until there is an answer that is not "not now". */
const insist = async (ask: (init: RequestInit) => Promise<Answer>): Promise<unknown> => {
  for (;;) {
    const answer = await ask({ signal: AbortSignal.timeout(WAIT_MS + PATIENCE_MS) }).catch(() => null)
    if (answer !== null && answer.status < 300) return answer.body
    if (answer !== null && answer.status < 500 && answer.status !== 429) {
      throw new Error(`refused: ${answer.status} ${JSON.stringify(answer.body)}`)
    }
    await delay(AGAIN_MS)
  }
}
