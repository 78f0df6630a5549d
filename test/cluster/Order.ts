import { expect } from "vitest"
import type { Place } from "./Trees.ts"

/** A command for a node of `Trees`, and what has to come of it. */
export interface Order {
  readonly place: Place
  readonly action: string
  readonly payload: unknown
  /** Members of the answer that are the node's own. */
  readonly answer: Readonly<Record<string, unknown>>
  /** As the log says it. */
  readonly outcome: "acked" | "refused"
  /** What the node's handler is given. */
  readonly squared: ReadonlyArray<number>
}

const refusal = (error: unknown) => ({
  answer: { ack: false, error, result: null },
  outcome: "refused" as const,
  squared: []
})

/** A number of its own for each: one in ten does not fit the schema of its action, one is of an action that nobody knows. */
export const orderOf = (place: Place, side: number): Order => {
  switch (side % 10) {
    case 3:
      return {
        place,
        action: "square",
        payload: { side: String(side) },
        ...refusal(expect.stringMatching(/^invalid_payload: side/))
      }
    case 7:
      return { place, action: "cube", payload: { side }, ...refusal("unknown_action") }
    default:
      return {
        place,
        action: "square",
        payload: { side },
        answer: { ack: true, error: null, result: { by: place.appId, area: side * side } },
        outcome: "acked",
        squared: [side]
      }
  }
}
