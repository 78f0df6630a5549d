import { assert, describe, it } from "@effect/vitest"
import { recordRestart, restartDelay, type RestartHistory } from "../../src/supervision/RestartIntensity.ts"

const limits = { restarts: 3, withinMs: 1_000 }

const run = (...times: ReadonlyArray<number>) => {
  let history: RestartHistory = []
  return times.map((at) => {
    const step = recordRestart(history, at, limits)
    history = step.history
    return step.exceeded
  })
}

describe("restart intensity", () => {
  it("exactly as many restarts as allowed are not exceeded", () => {
    assert.deepStrictEqual(run(0, 0, 0), [false, false, false])
  })
  it("one more within the window is exceeded", () => {
    assert.deepStrictEqual(run(0, 1, 2, 3), [false, false, false, true])
  })
  it("a restart exactly as old as the window still counts", () => {
    assert.deepStrictEqual(run(0, 1, 2, 1_000), [false, false, false, true])
  })
  it("a restart older than the window does not", () => {
    assert.deepStrictEqual(run(0, 1, 2, 1_000.5), [false, false, false, false])
  })
  it("the window slides: old restarts leave one by one", () => {
    assert.deepStrictEqual(run(0, 500, 900, 1_100, 1_450, 1_901), [false, false, false, false, true, false])
  })
  it("an intensity of 0 is exceeded by the first failure", () => {
    assert.isTrue(recordRestart([], 5, { restarts: 0, withinMs: 1_000 }).exceeded)
  })
  it("the history holds no more than the window", () => {
    let history: RestartHistory = []
    for (let at = 0; at < 100_000; at += 500) history = recordRestart(history, at, limits).history
    assert.strictEqual(history.length, 3)
  })
  it("the delay doubles within the window and is bounded", () => {
    assert.deepStrictEqual(
      [1, 2, 3, 4, 20].map((n) => restartDelay(Array.from({ length: n }, () => 0))),
      [50, 100, 200, 400, 2_000]
    )
  })
})
