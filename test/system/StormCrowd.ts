import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import type { Level } from "../../src/protocol/Frames.ts"
import type { Keypair } from "../harness/Keypair.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import type { StormCommand, StormCount } from "./stormClients.ts"

/** Registrations in flight at the beginning, of all processes together. */
const WIDTH = 400
const PING_INTERVAL_MS = 30_000
const LIMIT_MS = 120_000

export interface StormCrowdOptions {
  readonly nodes: number
  /** A process may hold 20,000 descriptors at most. */
  readonly processes: number
  readonly level: Level
  /** `raw`: they dial again at once, as no decent client does. `sdk`: by the client's own pauses. */
  readonly kind: "raw" | "sdk"
}

/** Thousands of nodes with a socket each, in processes of their own. */
export class StormCrowd implements Disposable {
  readonly size: number
  readonly #level: Level
  readonly #children: ReadonlyArray<ChildProcess>

  constructor({ kind, level, nodes, processes }: StormCrowdOptions) {
    const script = join(import.meta.dirname, kind === "raw" ? "stormClients.ts" : "stormSdk.ts")
    this.#level = level
    this.#children = Array.from({ length: processes }, () => fork(script))
    this.size = Math.floor(nodes / processes) * processes
  }

  /** Resolves when all of them have a session; each connects to the addresses in turn. */
  async start(urls: ReadonlyArray<string>, serverKey: Keypair): Promise<void> {
    await this.tell({
      do: "start",
      urls,
      level: this.#level,
      count: this.size / this.#children.length,
      serverSeed: serverKey.secretKey.export({ format: "der", type: "pkcs8" }).subarray(-32).toString("base64"),
      pingIntervalMs: PING_INTERVAL_MS,
      width: Math.ceil(WIDTH / this.#children.length)
    })
    await this.allBack(0)
  }

  async tell(command: StormCommand): Promise<StormCount> {
    const counts = await Promise.all(
      this.#children.map(async (child) => {
        const answer = once(child, "message") as Promise<[StormCount]>
        child.send(command)
        return (await answer)[0]
      })
    )
    const failures: Record<string, number> = {}
    for (const one of counts) {
      for (const [reason, times] of Object.entries(one.failures)) failures[reason] = (failures[reason] ?? 0) + times
    }
    const sum = (pick: (one: StormCount) => number) => counts.reduce((total, one) => total + pick(one), 0)
    return {
      attached: sum((one) => one.attached),
      unacked: sum((one) => one.unacked),
      reconnects: sum((one) => one.reconnects),
      failures
    }
  }

  /** All are attached, after so many reconnections since the beginning. */
  async allBack(reconnects: number): Promise<StormCount> {
    return await waitUntil(
      "all nodes are attached",
      async () => {
        const now = await this.tell({ do: "count" })
        return now.attached === this.size && now.reconnects >= reconnects && now
      },
      { withinMs: LIMIT_MS, everyMs: 100 }
    )
  }

  /** Each reports once, and is acked. */
  async speak(): Promise<void> {
    await this.tell({ do: "send" })
    await waitUntil("every node is heard", async () => (await this.tell({ do: "count" })).unacked === 0, {
      withinMs: LIMIT_MS,
      everyMs: 100
    })
  }

  [Symbol.dispose](): void {
    for (const child of this.#children) if (child.connected) child.disconnect()
  }
}

/** Attempts that have failed between two counts, by reason. */
export const failuresBetween = (before: StormCount, after: StormCount): Readonly<Record<string, number>> =>
  Object.fromEntries(
    Object.entries(after.failures)
      .map(([reason, n]) => [reason, n - (before.failures[reason] ?? 0)] as const)
      .filter(([, n]) => n !== 0)
  )
