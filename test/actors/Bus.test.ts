import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { Bus } from "../../src/actors/Bus.ts"

const heard = Effect.fnUntraced(function* (pattern: string) {
  const bus = yield* Bus
  const subjects: Array<string> = []
  yield* bus.subscribe(pattern, (subject, body) => subjects.push(`${subject}=${body}`))
  return subjects
})

describe("the in-process bus", () => {
  it.effect.each([
    ["a.b.c", "a.b.c", true],
    ["a.*.c", "a.b.c", true],
    ["a.*", "a.b.c", false],
    ["a.>", "a.b.c", true],
    ["a.b.c.>", "a.b.c", false],
    ["a.b.c.d", "a.b.c", false],
    ["*.*.*", "a.b.c", true],
    ["b.>", "a.b.c", false]
  ] as const)("%s hears %s: %s", ([pattern, subject, hears]) =>
    Effect.gen(function* () {
      const subjects = yield* heard(pattern)
      const bus = yield* Bus
      bus.publish(subject, "x")
      yield* Effect.promise(() => Promise.resolve())
      expect(subjects).toEqual(hears ? [`${subject}=x`] : [])
    }).pipe(Effect.provide(Bus.local))
  )

  it.effect("no handler runs inside its publisher's stack, and none after its scope has closed", () =>
    Effect.gen(function* () {
      const bus = yield* Bus
      const subjects = yield* Effect.scoped(
        Effect.gen(function* () {
          const subjects = yield* heard("a")
          bus.publish("a", "1")
          expect(subjects).toEqual([])
          yield* Effect.promise(() => Promise.resolve())
          return subjects
        })
      )
      bus.publish("a", "2")
      yield* Effect.promise(() => Promise.resolve())
      expect(subjects).toEqual(["a=1"])
    }).pipe(Effect.provide(Bus.local))
  )
})
