import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { queryPostgres } from "../harness/StoredState.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { SseClient, type WatchClient, WatchSocketClient, type Watched } from "../harness/WatchClient.ts"
import { Cluster } from "./Cluster.ts"
import { Crowd } from "./Crowd.ts"
import type { Replica } from "./Replica.ts"

const RUNS = 20
/** In this run the replica that is being watched is killed. */
const KILLED = 7
/** In this one it is stopped in order, and started again. */
const RESTARTED = 13
/** New events of a run before it goes on elsewhere. */
const ENOUGH = 15
const PACE_MS = 50

/** Watches by turns at all replicas that are there, each time from where it was, each time in the other form. */
class Wanderer {
  readonly seen: Array<Watched> = []
  readonly #query: string
  #run = 0
  #client: WatchClient | null = null
  #cursor = "0"

  constructor(query: string) {
    this.#query = query
  }

  /** What it has seen until now, and sees at the moment. */
  get all(): ReadonlyArray<Watched> {
    return [...this.seen, ...(this.#client?.events ?? [])]
  }

  get isCutOff(): boolean {
    return this.#client?.isEnded ?? true
  }

  get lastWords(): string | undefined {
    return this.#client?.words.at(-1)
  }

  async move({ http }: Replica): Promise<void> {
    this.leave()
    const form = this.#run++ % 2 === 0 ? SseClient : WatchSocketClient
    this.#client = await form.open(`${http}/api/v1/watch?from=${this.#cursor}${this.#query}`)
  }

  async getEnough(): Promise<void> {
    const client = this.#client!
    await waitUntil("some events", () => client.events.length >= ENOUGH, { withinMs: 20_000 })
  }

  /** What comes from now on is not looked at. */
  leave(): void {
    if (this.#client === null) return
    this.seen.push(...this.#client.events.splice(0))
    this.#cursor = this.#client.cursor ?? this.#cursor
    this.#client.cut()
    this.#client = null
  }
}

describe("GET watch from cursor 0, at one replica after the other while nodes work", () => {
  let cluster: Cluster
  let crowd: Crowd
  let work: NodeJS.Timeout

  beforeAll(async () => {
    cluster = await Cluster.start({ env: { REPLICA_LEASE: "3s" } })
    crowd = await Crowd.gather(cluster, { families: 3, children: 3 })
  })
  afterAll(async () => {
    clearInterval(work)
    await crowd?.[Symbol.asyncDispose]()
    await cluster?.dispose()
  })

  it("each event comes once and in the order of its node, also when one is killed and one restarted meanwhile", async () => {
    let step = 0
    work = setInterval(() => {
      for (const node of crowd.all) node.status({ step })
      step++
    }, PACE_MS)
    const family = crowd.families[0]!
    const [everything, tree] = [new Wanderer(""), new Wanderer(`&app=${family.root.appId}`)]
    const wanderers = [everything, tree]
    const alive = [...cluster.replicas]
    for (let run = 0; run < RUNS; run++) {
      const at = alive[run % alive.length]!
      for (const wanderer of wanderers) await wanderer.move(at)
      for (const wanderer of wanderers) await wanderer.getEnough()
      if (run === KILLED) {
        await cluster.kill(at.name)
        alive.splice(alive.indexOf(at), 1)
        await waitUntil("they see that it has gone", () => wanderers.every(({ isCutOff }) => isCutOff))
      } else if (run === RESTARTED) {
        const restarted = cluster.restart(at.name)
        await waitUntil("they are sent away", () =>
          wanderers.every(({ isCutOff, lastWords }) => isCutOff && lastWords === "going away")
        )
        await restarted
      }
    }
    clearInterval(work)
    await waitUntil("everything sent is acked", () => crowd.all.every((node) => node.stats().waiting === 0), {
      withinMs: 20_000
    })

    const rows = await queryPostgres(
      cluster.postgres.url,
      "select l.app_id, l.n, t.root_id from node_log l join node_tree t using (app_id) where l.kind <> 'refused' order by l.id"
    )
    const expected = new Map<Wanderer, ReadonlyArray<string>>([
      [everything, rows.map((row) => `${String(row["app_id"])}:${String(row["n"])}`)],
      [
        tree,
        rows
          .filter((row) => row["root_id"] === family.root.appId)
          .map((row) => `${String(row["app_id"])}:${String(row["n"])}`)
      ]
    ])
    for (const [wanderer, ids] of expected) {
      await waitUntil("all that is stored", () => wanderer.all.length >= ids.length, { withinMs: 20_000 })
      wanderer.leave()
      // In commit order: of each node in its own.
      expect(wanderer.seen.slice(0, ids.length).map(({ event }) => event.id)).toEqual(ids)
      expect(new Set(wanderer.seen.map(({ event }) => event.id)).size).toBe(wanderer.seen.length)
    }
    console.log(`watched ${everything.seen.length} events in ${RUNS} runs, ${tree.seen.length} of them of one tree`)
  })
})
