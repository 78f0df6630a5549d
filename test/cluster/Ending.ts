import type { NodeState } from "../../src/protocol/Frames.ts"
import type { Place } from "./Trees.ts"

/** How a node of `Trees` is to end, and how others are told of it. */
export interface Ending {
  readonly place: Place
  readonly state: NodeState
  /** Of its last message, as REST shows it. */
  readonly payload: unknown
  /** What its parent is told. */
  readonly outcome: Readonly<Record<string, unknown>>
  /** Ends it. */
  readonly end: () => unknown
}

/** Every fourth ends by an error. */
export const endingOf = (place: Place, index: number): Ending => {
  const of = { of: place.appId }
  if (index % 4 !== 3) {
    return {
      place,
      state: "done",
      payload: of,
      outcome: { state: "done", result: of },
      end: () => place.node.result(of)
    }
  }
  const error = { message: `${place.appId} failed`, detail: of }
  return {
    place,
    state: "error",
    payload: error,
    outcome: { state: "error", error },
    end: () => place.node.error(new Error(error.message), of)
  }
}
