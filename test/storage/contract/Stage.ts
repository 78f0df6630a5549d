import { type Effect, type Layer, ManagedRuntime } from "effect"
import { afterAll, beforeAll } from "vitest"
import type { LogRow } from "../../../src/storage/LogRow.ts"
import type { NodeRow } from "../../../src/storage/NodeRow.ts"
import { NodeStore, type NodeWrite, type WriteOutcome } from "../../../src/storage/NodeStore.ts"
import { ReplicaStore } from "../../../src/storage/ReplicaStore.ts"
import { TreeLog } from "../../../src/storage/TreeLog.ts"
import { TreeQueries } from "../../../src/storage/TreeQueries.ts"
import { bornRow, requestOf } from "../rows.ts"

export interface StoreUnderTest {
  readonly layer: Layer.Layer<NodeStore | TreeLog | TreeQueries | ReplicaStore, unknown>
  readonly seal: (appId: string) => Promise<void>
}

/** A store under test with the few calls that every suite of the contract makes; open from `beforeAll` on. */
export class Stage {
  #under!: StoreUnderTest
  #runtime!: ManagedRuntime.ManagedRuntime<NodeStore | TreeLog | TreeQueries | ReplicaStore, unknown>
  store!: NodeStore["Service"]
  tree!: TreeLog["Service"]
  queries!: TreeQueries["Service"]
  replicas!: ReplicaStore["Service"]

  constructor(open: () => Promise<StoreUnderTest>) {
    beforeAll(async () => {
      this.#under = await open()
      this.#runtime = ManagedRuntime.make(this.#under.layer)
      this.store = await this.#runtime.runPromise(NodeStore)
      this.tree = await this.#runtime.runPromise(TreeLog)
      this.queries = await this.#runtime.runPromise(TreeQueries)
      this.replicas = await this.#runtime.runPromise(ReplicaStore)
    })
    afterAll(() => this.#runtime.dispose())
  }

  readonly seal = (appId: string): Promise<void> => this.#under.seal(appId)

  readonly run = <A, E>(effect: Effect.Effect<A, E>): Promise<A> => this.#runtime.runPromise(effect)

  readonly append = (...writes: ReadonlyArray<NodeWrite>): Promise<ReadonlyArray<WriteOutcome>> =>
    this.run(this.store.append(0, writes))

  readonly bear = async (...[birth, patch]: Parameters<typeof requestOf>): Promise<NodeRow> =>
    bornRow(await this.run(this.store.birth(requestOf(birth, patch))))

  readonly read = async (appId: string): Promise<NodeRow> => {
    const row = await this.run(this.store.read(appId))
    if (row === null) throw new Error(`no node ${appId}`)
    return row
  }

  readonly logOf = async (appId: string): Promise<ReadonlyArray<LogRow>> =>
    (await this.run(this.store.follow(0, 100_000))).filter((row) => row.appId === appId)
}
