import { describe, expect, it } from "vitest"
import { Backoff } from "../../src/client/Backoff.ts"

const pauses = (backoff: Backoff, count: number) => Array.from({ length: count }, () => backoff.next())

describe("Backoff", () => {
  it("doubles from 100 ms and stops at 30 s, for ever", () => {
    const backoff = new Backoff(() => 0)
    expect(pauses(backoff, 11)).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000])
    expect(new Set(pauses(backoff, 2000))).toEqual(new Set([30_000]))
  })

  it("adds up to half as much again", () => {
    const most = 1 - Number.EPSILON
    expect(new Backoff(() => 0.5).next()).toBe(125)
    expect(new Backoff(() => most).next()).toBeLessThanOrEqual(150)
    expect(new Backoff(() => most).next(40_000)).toBeLessThanOrEqual(60_000)
  })

  it("waits at least as long as the server asks for", () => {
    const backoff = new Backoff(() => 0)
    expect(backoff.next(7000)).toBe(7000)
    expect(backoff.next(50)).toBe(200)
    expect(backoff.next(90_000)).toBe(90_000)
  })

  it("starts anew after a session that has proven itself, and after no other", () => {
    const backoff = new Backoff(() => 0)
    pauses(backoff, 3)
    backoff.lived(9999)
    expect(backoff.next()).toBe(800)
    backoff.lived(10_000)
    expect(backoff.next()).toBe(100)
    backoff.reset()
    expect(backoff.next()).toBe(100)
  })
})
