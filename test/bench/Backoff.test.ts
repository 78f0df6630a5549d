import { expect, it } from "vitest"
import { Backoff } from "../../bench/load/Backoff.ts"

it("pauses grow from 100 ms to 30 s, begin again after a success, and are never shorter than the server asks for", () => {
  const backoff = new Backoff(() => 0)
  expect(Array.from({ length: 11 }, () => backoff.next())).toEqual([
    ...[100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600],
    ...[30_000, 30_000]
  ])
  backoff.reset()
  expect(backoff.next(5000)).toBe(5000)
  expect(backoff.next(150)).toBe(200)
})

it("jitter only lengthens them, by half at the most", () => {
  expect(new Backoff(() => 0.999).next()).toBeCloseTo(149.95)
})
