import { setTimeout as delay } from "node:timers/promises"
import type { NodeState } from "../../src/protocol/Frames.ts"
import { Attached } from "../harness/Attached.ts"
import type { Random } from "../harness/Random.ts"
import type { RawNode, RawNodeOptions } from "../harness/RawNode.ts"
import { rootOf } from "../harness/TestNode.ts"
import type { ServerAddress } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"

export interface FleetOptions {
  readonly steady: number
  readonly finishers: number
  /** Messages per second of the whole fleet. */
  readonly rate: number
  readonly random: Random
  /** See `Attached`. */
  readonly silenceMs?: number
  /** Of one node, by its id. */
  readonly nodeOptions?: (appId: string) => RawNodeOptions
}

/** What a node held back by a dead server may pile up. */
const MOST_IN_FLIGHT = 500
const TICK_MS = 10

/**
 * Nodes of both levels on sockets of one to eight nodes each. `steady` ones report at a given rate for the whole run;
 * `finishers` end one by one, and their final states are remembered.
 */
export class Fleet {
  readonly steady: ReadonlyArray<RawNode>
  readonly finishers: ReadonlyArray<RawNode>
  /** Final states that the server has acked. */
  readonly finals = new Map<string, NodeState>()
  readonly #groups: ReadonlyArray<Attached>
  readonly #random: Random
  #producing = true
  #unfinished: Array<RawNode>
  readonly #producer: Promise<void>

  constructor(server: ServerAddress, options: FleetOptions) {
    const { random } = options
    const make = (name: string) => (_: unknown, index: number) => {
      const appId = random.uuid()
      const level = index % 2 === 0 ? "open" : "signed"
      const fields = { appId, appName: `${name}-${index}`, level, startDeadline: 0 } as const
      return rootOf(server, fields, options.nodeOptions?.(appId))
    }
    this.steady = Array.from({ length: options.steady }, make("steady"))
    this.finishers = Array.from({ length: options.finishers }, make("finisher"))
    this.#unfinished = [...this.finishers]
    this.#random = random
    const groups: Array<Attached> = []
    const pinned = server.serverKey.publicKey
    const silence = options.silenceMs === undefined ? {} : { silenceMs: options.silenceMs }
    const waiting = [...this.steady, ...this.finishers]
    while (waiting.length > 0) {
      const nodes = waiting.splice(0, 1 + random.int(8))
      groups.push(new Attached(server.url, nodes, { random, pinned, pauseMs: 200, ...silence }))
    }
    this.#groups = groups
    this.#producer = this.#produce(options.rate)
  }

  get all(): ReadonlyArray<RawNode> {
    return [...this.steady, ...this.finishers]
  }

  get sent(): number {
    return this.all.reduce((sum, node) => sum + node.sent, 0)
  }

  get inFlight(): number {
    return this.all.reduce((sum, node) => sum + node.inFlight, 0)
  }

  get isAttached(): boolean {
    return this.#groups.every((group) => group.isAttached)
  }

  /** Nodes that the server refused for good although they had not ended. */
  get lostNodes(): ReadonlyArray<string> {
    return this.#groups.flatMap((group) =>
      [...group.refused]
        .filter(([appId]) => !this.finals.has(appId))
        .map(([appId, refusal]) => `${appId}: ${refusal.message}`)
    )
  }

  /** Sends at once, until more than `atLeast` frames are unacked. Synchronous: nothing is acked meanwhile. */
  burst(atLeast: number): void {
    const nodes = this.steady.filter((node) => node.isAttached)
    for (let i = 0; nodes.length > 0 && this.inFlight < atLeast; i++) this.#status(nodes[i % nodes.length]!)
  }

  /** Cuts one socket, as a bad network does. */
  cutOne(): void {
    this.#random.pick(this.#groups).cut()
  }

  /** Ends one finisher by a seeded choice of Result, Error and disconnect, and waits until that is acked. */
  async finishOne(): Promise<void> {
    const node = this.#unfinished.pop()
    if (node === undefined) return
    const [end, state] = this.#random.pick<readonly [() => number, NodeState]>([
      [() => node.result({ rows: 42 }), "done"],
      [() => node.error({ what: "broken" }), "error"],
      [() => node.disconnect("completed"), "done"],
      [() => node.disconnect("cancelled"), "cancelled"]
    ])
    await waitUntil("the finisher is attached", () => node.isAttached, { withinMs: 20_000 })
    end()
    await waitUntil("the end of a finisher is acked", () => node.inFlight === 0, { withinMs: 30_000 })
    this.finals.set(node.appId, state)
  }

  /** A finished node speaks up again; whatever it is told, its state must not move (P9). */
  disturbFinished(): void {
    for (const node of this.finishers) {
      if (!this.finals.has(node.appId) || !node.isAttached) continue
      const before = node.errors.length
      node.status({ late: before })
    }
  }

  async stopProducing(): Promise<void> {
    this.#producing = false
    await this.#producer
  }

  async stop(): Promise<void> {
    await this.stopProducing()
    await Promise.all(this.#groups.map((group) => group.stop()))
  }

  #status(node: RawNode): void {
    const seq = node.seq + 1
    node.status({ progress: seq, big: "0".repeat(this.#random.int(100)), note: "läuft ✓" })
  }

  async #produce(rate: number): Promise<void> {
    const started = performance.now()
    let due = 0
    let made = 0
    while (this.#producing) {
      due = ((performance.now() - started) / 1000) * rate
      while (made < due) {
        made++
        const node = this.#random.pick(this.steady)
        if (node.isAttached && node.inFlight < MOST_IN_FLIGHT) this.#status(node)
      }
      await delay(TICK_MS)
    }
  }
}
