import { randomUUID } from "node:crypto"
import { once } from "node:events"
import type { WebSocket } from "ws"
import type { Level } from "../src/protocol/Frames.ts"
import { type Keypair, makeKeypair } from "../test/harness/Keypair.ts"
import { RawNode } from "../test/harness/RawNode.ts"
import { makeEnvelope } from "../test/harness/TestEnvelope.ts"
import { Wire } from "../test/harness/Wire.ts"
import { percentile } from "./spread.ts"

export interface DriverOptions {
  /** Of each replica; nodes are spread over them. */
  readonly urls: ReadonlyArray<string>
  readonly serverKey: Keypair
  readonly level: Level
  /** One socket each. */
  readonly nodes: number
  /** Unacked frames per node. */
  readonly window: number
}

export interface RunResult {
  /** Acked Status per second over the measured part. */
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** Processors that the driver itself had: near 1 it is what is measured. */
  readonly driverCores: number
}

/** Frames prepared per second of a run; more than any server here can take. */
const mostPerSecond = (level: Level): number => (level === "open" ? 60_000 : 26_000)

/** A node in the closed loop: prepared frames, sent as the window allows. */
class Lane {
  readonly node: RawNode
  readonly socket: WebSocket
  /** Frames of seq `first` and after, ready to go. */
  frames: Array<string> = []
  first = 1
  sent = 0
  acked = 0
  /** Send times by seq modulo the window. */
  readonly sentAt: Float64Array

  constructor(node: RawNode, window: number) {
    this.node = node
    this.socket = node.wire!.socket
    this.sentAt = new Float64Array(window)
  }
}

/**
 * Raw closed-loop driver: every node keeps `window` frames unacked. Frames are built and signed before the clock runs,
 * and server signatures are not verified, so that the driver takes as little as possible of the shared cores.
 */
export class AckDriver {
  readonly #options: DriverOptions
  readonly #lanes: Array<Lane> = []

  private constructor(options: DriverOptions) {
    this.#options = options
  }

  static async connect(options: DriverOptions): Promise<AckDriver> {
    const driver = new AckDriver(options)
    const issuer = options.level === "open" ? null : options.serverKey
    for (let i = 0; i < options.nodes; i++) {
      const url = options.urls[i % options.urls.length]!
      const envelope = makeEnvelope(
        {
          appId: randomUUID(),
          appName: `bench-${i}`,
          serverEp: url,
          serverPubKey: options.serverKey.text,
          secLevel: options.level,
          startDeadline: 0
        },
        issuer
      )
      const node = new RawNode(envelope, { keys: makeKeypair(), serverKey: options.serverKey.text })
      await node.register(await Wire.open(url))
      driver.#lanes.push(new Lane(node, options.window))
    }
    return driver
  }

  /** One run; fails when the frames that were prepared for it run out. */
  async run(seconds: number, warmUpSeconds: number): Promise<RunResult> {
    const { level, nodes } = this.#options
    const perNode = Math.ceil((mostPerSecond(level) * (seconds + warmUpSeconds)) / nodes)
    for (const lane of this.#lanes) this.#prepare(lane, perNode)
    const latencies = new Float64Array(perNode * this.#lanes.length)
    let counted = 0
    let measuring = false
    let stopped = false
    let idle = 0
    let allIdle = () => {}
    const settled = new Promise<void>((resolve) => {
      allIdle = resolve
    })
    const { window } = this.#options
    const fill = (lane: Lane, now: number) => {
      while (!stopped && lane.sent - lane.acked < window && lane.sent - lane.first + 1 < lane.frames.length) {
        const text = lane.frames[lane.sent - lane.first + 1]!
        lane.sent++
        lane.sentAt[lane.sent % window] = now
        lane.socket.send(text)
      }
    }
    for (const lane of this.#lanes) {
      lane.socket.removeAllListeners("message")
      lane.socket.on("message", (data: Buffer) => {
        const frame = JSON.parse(data.toString()) as { type: string; seq?: number; code?: string }
        if (frame.type !== "ack") throw new Error(`the server answered ${frame.type} ${frame.code ?? ""}`)
        const now = performance.now()
        while (lane.acked < frame.seq!) {
          lane.acked++
          if (measuring) latencies[counted++] = now - lane.sentAt[lane.acked % window]!
        }
        if (!stopped) fill(lane, now)
        else if (lane.acked === lane.sent && ++idle === this.#lanes.length) allIdle()
      })
    }
    for (const lane of this.#lanes) fill(lane, performance.now())
    await new Promise((resolve) => setTimeout(resolve, warmUpSeconds * 1000))
    measuring = true
    const from = performance.now()
    const cpu = process.cpuUsage()
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
    const elapsed = performance.now() - from
    const used = process.cpuUsage(cpu)
    measuring = false
    const acked = counted
    if (this.#lanes.some((lane) => lane.sent - lane.first + 1 >= lane.frames.length)) {
      throw new Error(`${perNode} prepared frames per node were too few for this run`)
    }
    stopped = true
    idle = this.#lanes.filter((lane) => lane.acked === lane.sent).length
    if (idle < this.#lanes.length) await settled
    const sorted = latencies.subarray(0, acked).sort()
    return {
      perSecond: (acked / elapsed) * 1000,
      p50Ms: percentile(sorted, 50),
      p99Ms: percentile(sorted, 99),
      maxMs: sorted.at(-1) ?? 0,
      driverCores: (used.user + used.system) / 1000 / elapsed
    }
  }

  async close(): Promise<void> {
    await Promise.all(
      this.#lanes.map(async (lane) => {
        const gone = once(lane.socket, "close")
        lane.socket.close()
        await gone
      })
    )
  }

  #prepare(lane: Lane, count: number): void {
    const { node } = lane
    const rest = lane.frames.slice(lane.sent - lane.first + 1)
    lane.frames = rest
    lane.first = lane.sent + 1
    for (let seq = lane.first + rest.length; lane.frames.length < count; seq++) {
      lane.frames.push(
        node.sealed({
          type: "message",
          app_id: node.appId,
          incarnation: node.incarnation,
          start_day: 700,
          header: { msg_type: "Status", timestamp: 1_790_000_000_000 + seq, seq, correlation_id: null },
          payload: { progress: seq, total: 100_000, phase: "extract", note: "rows copied so far, nothing unusual" }
        })
      )
    }
  }
}
