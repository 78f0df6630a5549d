import { randomUUID } from "node:crypto"
import type { TreeMember } from "./crowdClients.ts"

/** One in so many is hung. */
const HUNG_EVERY = 100

/** Nodes in the order of births: a parent before its children. */
export type TreePlan = ReadonlyArray<ReadonlyArray<TreeMember>>

/** `count` nodes on `depth` levels below the root, as evenly spread as whole numbers allow; by levels. */
export const planTree = (count: number, depth: number): TreePlan => {
  let made = 0
  const born = (parentId: string | null): TreeMember => ({
    appId: randomUUID(),
    parentId,
    isHung: made++ % HUNG_EVERY === HUNG_EVERY - 1
  })
  const levels: Array<ReadonlyArray<TreeMember>> = [[born(null)]]
  const growth = growthOf(count, depth)
  for (let level = 1; level <= depth; level++) {
    const above = levels[level - 1]!
    const wanted = level === depth ? count - made : Math.round(growth ** level)
    levels.push(Array.from({ length: wanted }, (_, i) => born(above[i % above.length]!.appId)))
  }
  return levels
}

/** How many children each node has, so that all levels together are about `count`. */
const growthOf = (count: number, depth: number): number => {
  let [low, high] = [1, count]
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2
    let sum = 1
    for (let level = 1; level <= depth; level++) sum += middle ** level
    if (sum > count) high = middle
    else low = middle
  }
  return low
}
