import { randomUUID } from "node:crypto"
import { Effect, type Layer, ManagedRuntime } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { AuditLog } from "../../src/storage/AuditLog.ts"
import { ReplicaStore } from "../../src/storage/ReplicaStore.ts"

/** No look is too late. */
const EVER = Number.MAX_SAFE_INTEGER

/** What every `ReplicaStore` and `AuditLog` keeps, whatever it is made of. */
export const leaseContract = (name: string, layer: Layer.Layer<ReplicaStore | AuditLog, unknown>): void => {
  describe(`ReplicaStore and AuditLog on ${name}`, () => {
    const runtime = ManagedRuntime.make(layer)
    let replicas: ReplicaStore["Service"]
    let audit: AuditLog["Service"]
    const run = <A, E>(effect: Effect.Effect<A, E>) => runtime.runPromise(effect)
    const renew = (boot: string, ttlMs = 60_000) => run(replicas.renew({ boot, instance: "i", version: "0" }, ttlMs))
    beforeAll(async () => {
      replicas = await runtime.runPromise(ReplicaStore)
      audit = await runtime.runPromise(AuditLog)
    })
    afterAll(() => runtime.dispose())

    it("a lease that ran out may be renewed as long as nobody has reaped it", async () => {
      const boot = randomUUID()
      expect(await renew(boot, -1)).toBe(true)
      expect(await renew(boot)).toBe(true)
      expect(await run(replicas.reapExpired(randomUUID(), EVER))).not.toContain(boot)
    })

    it("reaped: once, by another, never oneself; then no renewal", async () => {
      const [dead, reaper] = [randomUUID(), randomUUID()]
      await renew(dead, -1)
      await renew(reaper, -1)
      expect(await run(replicas.reapExpired(reaper, EVER))).toEqual([dead])
      expect(await run(replicas.reapExpired(reaper, EVER))).toEqual([])
      expect(await renew(dead)).toBe(false)
      expect(await renew(reaper)).toBe(true)
    })

    it("a look that comes after its time marks nobody", async () => {
      const [dead, reaper] = [randomUUID(), randomUUID()]
      await renew(dead, -1)
      const now = await run(replicas.now)
      expect(await run(replicas.reapExpired(reaper, now - 1))).toEqual([])
      expect(await renew(dead, -1)).toBe(true)
      expect(await run(replicas.reapExpired(reaper, now + 60_000))).toEqual([dead])
    })

    it("a released lease is over", async () => {
      const boot = randomUUID()
      await renew(boot)
      await run(replicas.release(boot))
      expect(await renew(boot)).toBe(false)
    })

    it("of boots those are named that are reaped or released, and for ever", async () => {
      const [alive, late, dead, released, unknown] = Array.from({ length: 5 }, () => randomUUID())
      await renew(alive!)
      await renew(late!, -1)
      await renew(released!)
      const named = async () => new Set(await run(replicas.reaped([alive!, late!, dead!, released!, unknown!])))
      expect(await named()).toEqual(new Set())
      await renew(dead!, -1)
      await renew(late!)
      await run(replicas.release(released!))
      await run(replicas.reapExpired(alive!, EVER))
      expect(await named()).toEqual(new Set([dead, released]))
      await renew(dead!)
      expect(await named()).toEqual(new Set([dead, released]))
      expect(await run(replicas.reaped([]))).toEqual([])
    })

    it("a duty has one holder until it is released or runs out", async () => {
      const duty = `duty-${randomUUID()}`
      const [a, b] = [randomUUID(), randomUUID()]
      const hold = (boot: string, ttlMs = 60_000) => run(replicas.holdDuty(duty, boot, ttlMs))
      expect(await hold(a)).toEqual({ held: true, cursor: 0 })
      expect(await hold(b)).toEqual({ held: false, cursor: 0 })
      expect(await hold(a)).toEqual({ held: true, cursor: 0 })
      await run(replicas.releaseDuty(duty, b))
      expect((await hold(b)).held).toBe(false)
      await run(replicas.releaseDuty(duty, a))
      expect((await hold(b, -1)).held).toBe(true)
      expect((await hold(a)).held).toBe(true)
    })

    it("of ten that ask for a duty at once one gets it", async () => {
      const duty = `duty-${randomUUID()}`
      const answers = await run(
        Effect.all(
          Array.from({ length: 10 }, () => replicas.holdDuty(duty, randomUUID(), 60_000)),
          { concurrency: "unbounded" }
        )
      )
      expect(answers.filter(({ held }) => held)).toHaveLength(1)
    })

    it("a duty's cursor moves forward only, by its holder only, and comes along to the next", async () => {
      const duty = `duty-${randomUUID()}`
      const [a, b] = [randomUUID(), randomUUID()]
      await run(replicas.holdDuty(duty, a, 60_000))
      expect(await run(replicas.advanceDuty(duty, a, 41))).toBe(true)
      expect(await run(replicas.advanceDuty(duty, a, 7))).toBe(true)
      expect(await run(replicas.advanceDuty(duty, b, 99))).toBe(false)
      await run(replicas.releaseDuty(duty, a))
      expect(await run(replicas.holdDuty(duty, b, 60_000))).toEqual({ held: true, cursor: 41 })
    })

    it("a duty's cursor begins anew when its holder says so, and when nobody else does", async () => {
      const duty = `duty-${randomUUID()}`
      const [a, b] = [randomUUID(), randomUUID()]
      await run(replicas.holdDuty(duty, a, 60_000))
      await run(replicas.advanceDuty(duty, a, 41))
      expect(await run(replicas.restartDuty(duty, b))).toBe(false)
      expect(await run(replicas.holdDuty(duty, a, 60_000))).toEqual({ held: true, cursor: 41 })
      expect(await run(replicas.restartDuty(duty, a))).toBe(true)
      expect(await run(replicas.holdDuty(duty, a, -1))).toEqual({ held: true, cursor: 0 })
      expect(await run(replicas.restartDuty(duty, a))).toBe(false)
    })

    it("a nonce is used once per key", async () => {
      const nonce = randomUUID()
      expect(await run(audit.useNonce("k1", nonce, 60_000))).toBe(true)
      expect(await run(audit.useNonce("k1", nonce, 60_000))).toBe(false)
      expect(await run(audit.useNonce("k2", nonce, 60_000))).toBe(true)
    })

    it("of ten uses of one nonce at once one is the first", async () => {
      const nonce = randomUUID()
      const answers = await run(
        Effect.all(
          Array.from({ length: 10 }, () => audit.useNonce("k", nonce, 60_000)),
          { concurrency: "unbounded" }
        )
      )
      expect(answers.filter(Boolean)).toHaveLength(1)
    })

    it("an entry is taken, whatever text is in it", async () => {
      await run(
        audit.record({
          actor: "anonymous",
          action: "register",
          appId: randomUUID(),
          decision: "deny",
          reason: "bad\u0000key\ud800",
          correlationId: null,
          data: { name: "\u0000" }
        })
      )
    })

    // Last: it ends everybody's lease.
    it("the only living boot ends all other leases and their duties", async () => {
      const [own, other] = [randomUUID(), randomUUID()]
      const duty = `duty-${randomUUID()}`
      await renew(own)
      await renew(other)
      await run(replicas.holdDuty(duty, other, 60_000))
      await run(replicas.expireOthers(own))
      expect(await renew(other)).toBe(false)
      expect(await renew(own)).toBe(true)
      expect((await run(replicas.holdDuty(duty, own, 60_000))).held).toBe(true)
    })
  })
}
