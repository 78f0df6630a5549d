import { Effect, Exit, Logger, Scope } from "effect"
import type { Bus, BusHandler } from "../../src/actors/Bus.ts"
import { waitUntil } from "../harness/waitUntil.ts"

/** A subscription outside of an Effect, ended by `stop`. */
export const listen = async (bus: Bus["Service"], pattern: string, handler?: BusHandler) => {
  const heard: Array<string> = []
  const lines: Array<string> = []
  const log = Logger.layer([Logger.make(({ message }) => void lines.push([message].flat().join(" ")))])
  const scope = await Effect.runPromise(Scope.make())
  const hear = handler ?? ((subject: string, body: string) => void heard.push(`${subject}=${body}`))
  await Effect.runPromise(Effect.provide(Scope.provide(bus.subscribe(pattern, hear), scope), log))
  return { heard, lines, stop: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}

let barriers = 0

/**
 * Waits until everything that `listener` subscribed to so far hears `publisher`, and what `publisher` has said so far has
 * been heard or will never be: a later word on a later subscription has come through.
 */
export const settled = async (
  publisher: Bus["Service"],
  listener: Bus["Service"],
  prefix = "barrier"
): Promise<void> => {
  const subject = `${prefix}.${++barriers}`
  const { heard, stop } = await listen(listener, subject)
  await waitUntil("the barrier is heard", () => {
    if (heard.length === 0) publisher.publish(subject, "x")
    return heard.length > 0
  })
  await stop()
}
