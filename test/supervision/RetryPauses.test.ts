import { expect, it } from "vitest"
import { RetryPauses } from "../../src/supervision/RetryPauses.ts"

const at = { now: 0 }

const pausesOf = (times: number): RetryPauses<string> => {
  at.now = 0
  const pauses = new RetryPauses<string>(() => at.now, { firstMs: 100, lastMs: 350 })
  for (let i = 0; i < times; i++) pauses.failed("a")
  return pauses
}

const overAt = (pauses: RetryPauses<string>, now: number): boolean => {
  at.now = now
  return pauses.isOver("a")
}

it.each([
  { failures: 1, ms: 100 },
  { failures: 2, ms: 200 },
  { failures: 3, ms: 350 },
  { failures: 9, ms: 350 }
])("after $failures failures the pause is $ms ms", ({ failures, ms }) => {
  const pauses = pausesOf(failures)
  expect([overAt(pauses, ms - 1), overAt(pauses, ms)]).toEqual([false, true])
})

it("each key has a pause of its own, and one that has not failed has none", () => {
  expect(pausesOf(3).isOver("b")).toBe(true)
})

it("a success, and a new beginning of all, begin with the first pause again", () => {
  const succeeded = pausesOf(3)
  succeeded.succeeded("a")
  succeeded.failed("a")
  expect(overAt(succeeded, 100)).toBe(true)
  const cleared = pausesOf(3)
  cleared.clear()
  expect(cleared.isOver("a")).toBe(true)
})
