import { setTimeout as delay } from "node:timers/promises"
import type { ErrorFrame } from "../../src/protocol/Frames.ts"
import type { Random } from "./Random.ts"
import { type RawNode, Refused } from "./RawNode.ts"
import { Wire, type WireOptions } from "./Wire.ts"

export interface AttachedOptions extends WireOptions {
  readonly random: Random
  /** Upper bound of the seeded pause before each attempt. */
  readonly pauseMs?: number
  /**
   * A server that says nothing, pings included, for so long is given up; at a greeting a quarter of that is enough, after
   * each failure twice as much. Default: never, and `withinMs`.
   */
  readonly silenceMs?: number
}

/** Between two looks at a socket's silence. */
const LOOK_MS = 100

/**
 * Keeps nodes attached by one shared socket: connects, registers or re-registers, and does so again whenever the
 * socket is lost, until `stop`. What a client library does, without its politeness.
 */
export class Attached {
  readonly nodes: ReadonlyArray<RawNode>
  /** Nodes that the server will not have back, with its answer. */
  readonly refused = new Map<string, Refused>()
  reconnects = 0
  /** Why the latest attempt ended, for the one who waits in vain. */
  lastFailure: unknown = null
  readonly #url: string
  readonly #options: AttachedOptions
  #wire: Wire | null = null
  #stopped = false
  #loop: Promise<void>

  constructor(url: string, nodes: ReadonlyArray<RawNode>, options: AttachedOptions) {
    this.#url = url
    this.nodes = nodes
    this.#options = options
    for (const node of nodes) node.onSessionEnd = (error) => this.#onSessionEnd(node, error)
    this.#loop = this.#run()
  }

  get isAttached(): boolean {
    return (
      this.#wire !== null &&
      this.nodes.every((node) => node.wire === this.#wire || this.refused.has(node.appId)) &&
      this.#wire.isOpen
    )
  }

  /** Cuts the socket without a closing handshake; the loop brings it back. */
  cut(): void {
    this.#wire?.terminate()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#wire?.terminate()
    await this.#loop
  }

  async #run(): Promise<void> {
    let failures = 0
    while (!this.#stopped) {
      try {
        const wire = await Wire.open(this.#url, { ...this.#options, ...this.#patience(failures++) })
        failures = 0
        this.#wire = wire
        this.#giveUpSilent(wire)
        await this.#attachAll(wire)
        if (this.#stopped) wire.terminate()
        await wire.closed
      } catch (error) {
        this.lastFailure = error
        this.#wire?.terminate()
      }
      this.reconnects++
      if (!this.#stopped) await delay(this.#options.random.int(this.#options.pauseMs ?? 100) + 1)
    }
  }

  #onSessionEnd(node: RawNode, error: ErrorFrame): void {
    if (error.retryable) return this.#wire?.terminate()
    this.refused.set(node.appId, new Refused(error))
    node.abandon()
  }

  #patience(failures: number): WireOptions {
    const { silenceMs } = this.#options
    return silenceMs === undefined ? {} : { withinMs: (silenceMs / 4) * 2 ** Math.min(failures, 4) }
  }

  #giveUpSilent(wire: Wire): void {
    const { silenceMs } = this.#options
    if (silenceMs === undefined) return
    const watch = setInterval(() => {
      if (performance.now() - wire.heardAt > silenceMs) wire.terminate()
    }, LOOK_MS)
    void wire.closed.then(() => clearInterval(watch))
  }

  /** One at first: before it is accepted the server takes little from a socket. */
  async #attachAll(wire: Wire): Promise<void> {
    const [first, ...others] = this.nodes
    if (first !== undefined) await this.#attach(first, wire)
    // All of them, so that none is still at it when the next socket is there.
    const attached = await Promise.allSettled(others.map((node) => this.#attach(node, wire)))
    const failed = attached.find(({ status }) => status === "rejected")
    if (failed !== undefined) throw (failed as PromiseRejectedResult).reason
  }

  async #attach(node: RawNode, wire: Wire): Promise<void> {
    while (!this.refused.has(node.appId)) {
      try {
        await (node.registered === null ? node.register(wire) : node.reRegister(wire))
        break
      } catch (error) {
        if (!(error instanceof Refused)) throw error
        if (error.frame.retryable) await delay(error.frame.retry_after_ms ?? 200)
        else {
          this.refused.set(node.appId, error)
          node.abandon()
        }
      }
    }
  }
}
