import { type Latency, latencyOf } from "./Latency.ts"

/** Asked at the replica that holds the node, and at one that does not. */
export interface Ways<A> {
  readonly same: A
  readonly across: A
}

/** Both ways in every round, taking turns at being first. */
export const bothWays = async (
  rounds: number,
  measure: (way: keyof Ways<never>) => Promise<ReadonlyArray<number>>
): Promise<Ways<Latency>> => {
  const taken: Ways<Array<ReadonlyArray<number>>> = { same: [], across: [] }
  for (let round = 0; round < rounds; round++) {
    for (const way of round % 2 === 0 ? (["same", "across"] as const) : (["across", "same"] as const)) {
      taken[way].push(await measure(way))
    }
  }
  return { same: latencyOf(taken.same), across: latencyOf(taken.across) }
}
