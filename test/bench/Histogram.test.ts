import { describe, expect, it } from "vitest"
import { Histogram } from "../../bench/load/Histogram.ts"
import { seeded } from "../harness/Random.ts"

/** Log-uniform from 1 µs to 10 s. */
const latencies = (count: number, seed: number): Array<number> => {
  const random = seeded(seed)
  return Array.from({ length: count }, () => 10 ** (random.int(7_000_000) / 1_000_000 - 3))
}

describe("Histogram", () => {
  it("a percentile is within 1 % of the exact one, or half a microsecond", () => {
    const values = latencies(20_000, 1)
    const histogram = new Histogram()
    for (const value of values) histogram.record(value)
    values.sort((a, b) => a - b)
    for (const percent of [0.01, 1, 50, 95, 99, 99.9, 100]) {
      const exact = values[Math.ceil((values.length * percent) / 100) - 1]!
      expect(Math.abs(histogram.percentile(percent) - exact)).toBeLessThanOrEqual(exact * 0.01 + 0.0005)
    }
    expect(histogram.maxMs).toBe(values.at(-1))
  })

  it("those of several processes add up to the one of all", () => {
    const all = new Histogram()
    const sum = new Histogram()
    for (const seed of [1, 2, 3]) {
      const part = new Histogram()
      for (const value of latencies(1000, seed)) {
        part.record(value)
        all.record(value)
      }
      // As it comes through a channel between processes.
      sum.add(JSON.parse(JSON.stringify(part.toCounts())) as ReturnType<Histogram["toCounts"]>)
    }
    expect(sum.toCounts()).toEqual(all.toCounts())
    expect(sum.total).toBe(3000)
    expect(sum.percentile(95)).toBe(all.percentile(95))
  })

  it("is 0 when nothing was recorded, and takes what is out of its range", () => {
    const histogram = new Histogram()
    expect([histogram.percentile(99), histogram.maxMs, histogram.total]).toEqual([0, 0, 0])
    histogram.record(-1)
    histogram.record(1e9)
    expect(histogram.percentile(1)).toBe(0)
    expect(histogram.percentile(100)).toBeGreaterThan(4_000_000)
  })
})
