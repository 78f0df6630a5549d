import { assert, describe, it } from "@effect/vitest"
import { Console, Effect } from "effect"
import { layerLogLines } from "../../src/LogLines.ts"

/** What is printed to stderr by `effect`. */
const printed = Effect.fnUntraced(function* (
  effect: Effect.Effect<unknown>,
  level: "debug" | "info" | "warn",
  terminal: boolean
) {
  const lines: Array<string> = []
  const console = { ...globalThis.console, error: (line: string) => void lines.push(line) }
  yield* effect.pipe(Effect.provide(layerLogLines(level, terminal)), Effect.provideService(Console.Console, console))
  return lines
})

describe("log lines", () => {
  const some = Effect.gen(function* () {
    yield* Effect.logDebug("hidden")
    yield* Effect.logWarning("disk", "full", { left: 3 }).pipe(Effect.annotateLogs({ node: "n1", count: 2 }))
  })

  it.effect("at a terminal they are short lines for people", () =>
    Effect.gen(function* () {
      const lines = yield* printed(some, "info", true)
      assert.lengthOf(lines, 1)
      assert.match(lines[0] ?? "", /^\d\d:\d\d:\d\d WARN {2}disk full \{"left":3\} node=n1 count=2$/)
    })
  )

  it.effect("elsewhere they are one JSON object each", () =>
    Effect.gen(function* () {
      const [line = ""] = yield* printed(some, "info", false)
      const { time, ...rest } = JSON.parse(line) as Record<string, unknown>
      assert.match(String(time), /^\d{4}-\d\d-\d\dT/)
      assert.deepStrictEqual(rest, { level: "warn", message: 'disk full {"left":3}', node: "n1", count: 2 })
    })
  )

  it.effect("TRAILS_LOG decides what is shown", () =>
    Effect.gen(function* () {
      assert.lengthOf(yield* printed(some, "debug", false), 2)
      assert.lengthOf(yield* printed(Effect.logInfo("x"), "warn", false), 0)
    })
  )

  it.effect("a cause is printed below its line, or in its object", () =>
    Effect.gen(function* () {
      const failing = Effect.die(new Error("boom")).pipe(
        Effect.catchCause((cause) => Effect.logError("it failed", cause))
      )
      assert.include((yield* printed(failing, "info", true))[0], "it failed\n  Error: boom")
      assert.include(JSON.parse((yield* printed(failing, "info", false))[0] ?? "{}").cause, "boom")
    })
  )
})
