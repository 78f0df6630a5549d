import { Clock, Effect, Layer } from "effect"
import { ReplicaStore } from "../../src/storage/ReplicaStore.ts"
import type { FakeDatabase } from "./FakeDatabase.ts"

/** `replicas` and `leases` in memory, by the contract of ReplicaStore; the test clock is the database's clock. */
export class FakeReplicas {
  readonly replicas: Map<string, { until: number; reaped: boolean }>
  readonly duties: Map<string, { boot: string; until: number }>
  readonly calls: Array<string> = []
  /** Boots that the network has cut off from the database: their calls never end. */
  readonly cut = new Set<string>()
  /** Only renewals of leases fail, as with an exhausted pool; pings go on. */
  renewalsHang = false
  /** For how long each look for expired leases was allowed to mark some. */
  readonly reapAllowances: Array<number> = []
  /** Questions whether boots are reaped, also those that are not answered. */
  looks = 0

  /** How long a call takes before its effect on the rows. */
  slowMs = 0
  /** How long the boot's answers take after their effect on the rows. */
  readonly lateMs = new Map<string, number>()

  readonly #database: FakeDatabase

  /** With `others`: the same rows by a way of its own. */
  constructor(database: FakeDatabase, others?: FakeReplicas) {
    this.#database = database
    this.replicas = others?.replicas ?? new Map()
    this.duties = others?.duties ?? new Map()
  }

  #call<A>(boot: string, operation: string, answer: (now: number) => A) {
    return Effect.suspend(() => (this.slowMs === 0 ? Effect.void : Effect.sleep(this.slowMs))).pipe(
      Effect.andThen(Clock.currentTimeMillis),
      Effect.flatMap((now) =>
        this.cut.has(boot)
          ? Effect.never
          : this.#database.meet(operation, () => {
              this.calls.push(`${operation} ${boot}`)
              return answer(now)
            })
      ),
      Effect.tap(() => (this.lateMs.has(boot) ? Effect.sleep(this.lateMs.get(boot)!) : Effect.void))
    )
  }

  get layer(): Layer.Layer<ReplicaStore> {
    return Layer.succeed(ReplicaStore, {
      renew: ({ boot }, ttlMs) =>
        this.renewalsHang
          ? Effect.never
          : this.#call(boot, "renew", (now) => {
              if (this.replicas.get(boot)?.reaped === true) return false
              this.replicas.set(boot, { until: now + ttlMs, reaped: false })
              return true
            }),
      release: (boot) => this.#call(boot, "release", () => void this.replicas.delete(boot)),
      expireOthers: (boot) =>
        this.#call(boot, "expireOthers", () => {
          for (const other of this.replicas.keys()) if (other !== boot) this.replicas.delete(other)
        }),
      now: this.#call("", "now", (now) => now),
      reapExpired: (boot, notAfter) =>
        this.#call(boot, "reapExpired", (now) => {
          this.reapAllowances.push(notAfter - now)
          if (now > notAfter) return []
          const expired = [...this.replicas].filter(([other, row]) => other !== boot && !row.reaped && row.until <= now)
          for (const [, row] of expired) row.reaped = true
          return expired.map(([other]) => other)
        }),
      reaped: (boots) =>
        Effect.suspend(() => {
          this.looks++
          return this.#database.meet("reaped", () => boots.filter((boot) => this.replicas.get(boot)?.reaped === true))
        }),
      holdVerdicts: (boot) => this.#call(boot, "holdVerdicts", () => {}),
      holdDuty: (duty, boot, ttlMs) =>
        this.#call(boot, "holdDuty", (now) => {
          const holder = this.duties.get(duty)
          if (holder !== undefined && holder.boot !== boot && holder.until > now) return { held: false, cursor: 0 }
          this.duties.set(duty, { boot, until: now + ttlMs })
          return { held: true, cursor: 7 }
        }),
      advanceDuty: (duty, boot) => this.#call(boot, "advanceDuty", () => this.duties.get(duty)?.boot === boot),
      restartDuty: (duty, boot) => this.#call(boot, "restartDuty", () => this.duties.get(duty)?.boot === boot),
      releaseDuty: (duty, boot) =>
        this.#call(boot, "releaseDuty", () => {
          if (this.duties.get(duty)?.boot === boot) this.duties.delete(duty)
        })
    })
  }
}
