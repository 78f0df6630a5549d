import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Fiber, Layer } from "effect"
import { type LeaseInquiry, makeLeaseInquiry } from "../../src/actors/LeaseInquiry.ts"
import { ReplicaStore } from "../../src/storage/ReplicaStore.ts"
import type { LeaseLost } from "../../src/supervision/LeaseLost.ts"
import { reaper } from "../../src/supervision/Reaper.ts"
import { ReplicaLease } from "../../src/supervision/ReplicaLease.ts"
import { startSupervisor } from "../../src/supervision/Supervisor.ts"
import { advance, quiesce } from "../supervision/advance.ts"
import { type Condition, FakeDatabase } from "../supervision/FakeDatabase.ts"
import { FakeNodes } from "../supervision/FakeNodes.ts"
import { FakeReplicas } from "../supervision/FakeReplicas.ts"
import { replicaLayer, startReplica } from "../supervision/replica.ts"

const TTL = 15_000

/** One replica: its lease, its reaper and its questions, with a way of its own to the database and to the others. */
interface Site {
  readonly boot: string
  readonly database: FakeDatabase
  readonly replicas: FakeReplicas
  readonly lease: ReplicaLease["Service"]
  readonly inquiry: LeaseInquiry
  readonly lost: Fiber.Fiber<LeaseLost>
  onNats: boolean
  asked: number
  answered: number
}

/** Replicas of one deployment on one clock, that of the test. */
class Deployment {
  readonly sites: Array<Site> = []

  static readonly start = Effect.fnUntraced(function* (boots: ReadonlyArray<string>) {
    const deployment = new Deployment()
    for (const boot of boots) yield* deployment.#add(boot)
    yield* quiesce
    return deployment
  })

  readonly #add = Effect.fnUntraced({ self: this }, function* (this: Deployment, boot: string) {
    const database = new FakeDatabase()
    const replicas = new FakeReplicas(database, this.sites[0]?.replicas)
    const services = yield* Layer.build(Layer.mergeAll(new FakeNodes().layer, replicaLayer(boot, database, replicas)))
    const lease = Context.get(services, ReplicaLease)
    const fork = Effect.runForkWith(yield* Effect.context<never>())
    const inquiry = yield* makeLeaseInquiry({
      lease,
      store: Context.get(services, ReplicaStore),
      outbox: {
        cutOff: () => {
          site.asked++
          for (const other of this.#heardBy(site)) other.inquiry.asked(boot)
        },
        reaped: (asker) => {
          site.answered++
          for (const other of this.#heardBy(site)) if (other.boot === asker) fork(other.lease.heedReaped(boot))
        }
      }
    })
    const lost = yield* Effect.forkScoped(Effect.flip(lease.lost))
    const site: Site = { boot, database, replicas, lease, inquiry, lost, onNats: true, asked: 0, answered: 0 }
    this.sites.push(site)
    yield* Effect.provideContext(startReplica, services)
    const children = [yield* Effect.provideContext(reaper, services), ...inquiry.children]
    yield* Effect.provideContext(startSupervisor({ name: boot, strategy: "one_for_one", children }), services)
  })

  #heardBy(from: Site): ReadonlyArray<Site> {
    return this.sites.filter((site) => site !== from && site.onNats && from.onNats)
  }

  /** What the replicas' ways to the database are like from now on. */
  set(condition: Condition, ...boots: ReadonlyArray<string>): void {
    for (const { boot, database } of this.sites) if (boots.includes(boot)) database.condition = condition
  }

  /** Those that have stepped down. */
  get lost(): ReadonlyArray<string> {
    return this.sites.filter(({ lost }) => lost.pollUnsafe() !== undefined).map(({ boot }) => boot)
  }

  get asked(): number {
    return this.sites.reduce((sum, { asked }) => sum + asked, 0)
  }

  get answered(): number {
    return this.sites.reduce((sum, { answered }) => sum + answered, 0)
  }
}

const ALL = ["b1", "b2", "b3"]

const three = (body: (deployment: Deployment, b1: Site) => Effect.Effect<void>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const deployment = yield* Deployment.start(ALL)
      // Long enough for every reaper to be entitled.
      yield* advance("20 seconds")
      yield* body(deployment, deployment.sites[0]!)
    })
  )

describe("a replica that is cut off from the database alone", () => {
  for (const condition of ["hangs", "refuses"] as const) {
    it.effect(`(${condition}) keeps its nodes for a lease, and lets them go within one and a half`, () =>
      three((deployment, b1) =>
        Effect.gen(function* () {
          deployment.set(condition, "b1")
          // Its last renewal may have been a fifth of a lease ago.
          yield* advance((TTL * 4) / 5 - 1)
          assert.deepStrictEqual([deployment.lost, deployment.asked], [[], 0])
          yield* advance(TTL * 0.7)
          const error = yield* Fiber.join(b1.lost)
          assert.deepInclude(error, { _tag: "LeaseLost", reason: "reaped", boot: "b1" })
          assert.match(error.message, /which replica b[23] reaches/)
          assert.deepStrictEqual(deployment.lost, ["b1"])
          const { asked } = deployment
          yield* advance("1 minute")
          assert.strictEqual(deployment.asked, asked)
          assert.isTrue(deployment.sites.slice(1).every(({ lease }) => lease.holds()))
        })
      )
    )
  }

  it.effect("and from the others keeps them, until it hears them again", () =>
    three((deployment, b1) =>
      Effect.gen(function* () {
        deployment.set("hangs", "b1")
        b1.onNats = false
        yield* advance("3 minutes")
        assert.isTrue(deployment.sites[1]!.replicas.replicas.get("b1")?.reaped)
        assert.isAtLeast(b1.asked, 30)
        assert.deepStrictEqual([deployment.lost, deployment.answered], [[], 0])
        b1.onNats = true
        yield* advance("5 seconds")
        assert.deepStrictEqual(deployment.lost, ["b1"])
      })
    )
  )

  it.effect("for less than its lease asks nobody, nor does anybody in ordinary times (Q1)", () =>
    three((deployment) =>
      Effect.gen(function* () {
        deployment.set("hangs", "b1")
        yield* advance("11 seconds")
        deployment.set("answers", "b1")
        yield* advance("3 minutes")
        assert.deepStrictEqual([deployment.lost, deployment.asked], [[], 0])
      })
    )
  )
})

describe("who shares an outage with all others lets nobody go", () => {
  for (const condition of ["hangs", "refuses"] as const) {
    it.effect(`(${condition}) however long it lasts: all ask, and nobody looks or answers (Q3)`, () =>
      three((deployment) =>
        Effect.gen(function* () {
          deployment.set(condition, ...ALL)
          yield* advance("3 minutes")
          for (const { asked, replicas } of deployment.sites) {
            assert.isAtLeast(asked, 30)
            assert.strictEqual(replicas.looks, 0)
          }
          assert.deepStrictEqual([deployment.lost, deployment.answered], [[], 0])
          deployment.set("answers", ...ALL)
          yield* advance("1 minute")
          assert.deepStrictEqual([deployment.lost, deployment.answered], [[], 0])
          assert.isTrue(deployment.sites.every(({ lease }) => lease.holds()))
        })
      )
    )
  }

  it.effect("also when the database comes back to the others first, by less than a lease", () =>
    three((deployment) =>
      Effect.gen(function* () {
        deployment.set("refuses", ...ALL)
        yield* advance("1 minute")
        deployment.set("answers", "b2", "b3")
        yield* advance(TTL - 1_000)
        assert.isAtLeast(deployment.sites[1]!.replicas.looks + deployment.sites[2]!.replicas.looks, 2)
        deployment.set("answers", "b1")
        yield* advance("1 minute")
        assert.deepStrictEqual([deployment.lost, deployment.answered], [[], 0])
      })
    )
  )

  it.effect("but who is still cut off a lease after the others are not does", () =>
    three((deployment) =>
      Effect.gen(function* () {
        deployment.set("refuses", ...ALL)
        yield* advance("1 minute")
        deployment.set("answers", "b2", "b3")
        yield* advance(1.5 * TTL)
        assert.deepStrictEqual(deployment.lost, ["b1"])
      })
    )
  )
})

describe("the word of another replica", () => {
  it.effect("ends no lease that lasts by one's own clock (L4)", () =>
    three((deployment, b1) =>
      Effect.gen(function* () {
        yield* b1.lease.heedReaped("b2")
        deployment.set("refuses", "b1")
        yield* advance(TTL * 0.75)
        assert.isTrue(b1.lease.holds())
        yield* b1.lease.heedReaped("b2")
        deployment.set("answers", "b1")
        yield* advance("1 minute")
        assert.deepStrictEqual(deployment.lost, [])
        assert.isTrue(b1.lease.holds())
      })
    )
  )

  it.effect("ends none of who is answered: its next renewal will tell (L4)", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      let jump = 0n
      const jumping = Object.assign(Object.create(clock) as Clock.Clock, {
        monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe() + jump
      })
      yield* three((deployment, b1) =>
        Effect.gen(function* () {
          jump = 20_000_000_000n
          assert.isFalse(b1.lease.holds())
          yield* b1.lease.heedReaped("b2")
          yield* advance("1 minute")
          assert.deepStrictEqual([deployment.lost, deployment.asked], [[], 0])
          assert.isTrue(b1.lease.holds())
        })
      ).pipe(Effect.provideService(Clock.Clock, jumping))
    })
  )

  it.effect("is asked of the database once a second at most, for all who ask together", () =>
    three((deployment, b1) =>
      Effect.gen(function* () {
        for (const boot of ["d1", "d2", "d3"]) b1.replicas.replicas.set(boot, { until: 1e9, reaped: boot !== "d3" })
        for (let second = 0; second < 10; second++) {
          for (let i = 0; i < 1000; i++) b1.inquiry.asked(`d${i % 4}`)
          yield* advance("1 second")
        }
        assert.include([9, 10], b1.replicas.looks)
        assert.strictEqual(b1.answered, 2 * b1.replicas.looks)
        assert.deepStrictEqual(deployment.lost, [])
      })
    )
  )

  it.effect("is not had from a database that fails or hangs, and is had from it once it answers", () =>
    three((deployment, b1) =>
      Effect.gen(function* () {
        b1.replicas.replicas.set("dead", { until: 0, reaped: true })
        for (const condition of ["refuses", "hangs"] as const) {
          deployment.set(condition, "b1")
          b1.inquiry.asked("dead")
          yield* advance("4 seconds")
        }
        assert.deepStrictEqual([b1.replicas.looks, b1.answered], [2, 0])
        deployment.set("answers", "b1")
        b1.inquiry.asked("dead")
        yield* advance("4 seconds")
        assert.strictEqual(b1.answered, 1)
      })
    )
  )
})
