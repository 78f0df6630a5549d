import { it } from "@effect/vitest"
import { Effect, type Exit, Queue, type Scope } from "effect"
import type { ChildSpec } from "../../src/supervision/ChildSpec.ts"
import { Telemetry } from "../../src/Telemetry.ts"
import { advance } from "./advance.ts"

/** A child whose exits the test chooses, and that writes down each of its starts and stops. */
export const makeChild = Effect.fnUntraced(function* (
  log: Array<string>,
  id: string,
  spec: Partial<ChildSpec<never>> = {}
) {
  const exits = yield* Queue.unbounded<Exit.Exit<unknown, unknown>>()
  const child: ChildSpec = {
    id,
    restart: "permanent",
    intensity: { restarts: 3, withinMs: 10_000 },
    shutdownMs: 100,
    start: Effect.suspend(() => {
      log.push(`+${id}`)
      return Effect.flatten(Queue.take(exits)).pipe(Effect.onInterrupt(() => Effect.sync(() => log.push(`-${id}`))))
    }),
    ...spec
  }
  return { spec: child, exit: (exit: Exit.Exit<unknown, unknown>) => Queue.offerUnsafe(exits, exit) }
})

/** Longer than any delay of a restart. */
export const settle = advance("5 seconds")

/** A test with the telemetry that every supervisor reports to. */
export const test = <E>(title: string, body: Effect.Effect<void, E, Scope.Scope | Telemetry>) =>
  it.effect(title, () => Effect.provide(body, Telemetry.layer))
