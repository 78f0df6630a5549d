/**
 * Nodes of a tree in a process of their own, told what to be by messages from `Crowd`: on shared sockets, each of them an
 * SDK node. A hung one takes a cancel and never answers it.
 */
import { makeInit } from "../../../src/client/init.ts"
import { nodePlatform } from "../../../src/client/NodePlatform.ts"
import type { TrailsNode } from "../../../src/client/TrailsNode.ts"
import { makeEnvelope } from "../../harness/TestEnvelope.ts"

export interface TreeMember {
  readonly appId: string
  readonly parentId: string | null
  readonly isHung: boolean
}

export type TreeOrder =
  | { readonly do: "grow"; readonly url: string; readonly members: ReadonlyArray<TreeMember>; readonly graceMs: number }
  | { readonly do: "count" }

export interface TreeCount {
  readonly attached: number
  /** Nodes whose cancel hook has been called. */
  readonly told: number
  /** Calls of cancel hooks beyond one for each node. */
  readonly toldAgain: number
}

/** Registrations at once. */
const WIDTH = 200
/** Nodes that share a socket. */
const PER_SOCKET = 1000

const nodes: Array<TrailsNode> = []
const told = new Map<string, number>()

const platform = { ...nodePlatform, watchExit: () => {} }
let init = makeInit(platform)

const grow = async ({ graceMs, members, url }: Extract<TreeOrder, { readonly do: "grow" }>): Promise<void> => {
  let next = 0
  const worker = async (): Promise<void> => {
    for (let member = members[next++]; member !== undefined; member = members[next++]) {
      if (nodes.length % PER_SOCKET === 0) init = makeInit(platform)
      const { appId, isHung, parentId } = member
      const { info } = makeEnvelope({ appId, parentId, serverEp: url, startDeadline: 0 }, null)
      const node = await init({ info, exitHook: false, pingIntervalMs: 0 })
      node.onCancel(
        () => {
          told.set(appId, (told.get(appId) ?? 0) + 1)
          return isHung ? new Promise(() => {}) : null
        },
        { graceMs }
      )
      nodes.push(node)
      await node.ready()
    }
  }
  await Promise.all(Array.from({ length: WIDTH }, worker))
}

const count = (): TreeCount => ({
  attached: nodes.filter((node) => node.stats().state === "attached").length,
  told: told.size,
  toldAgain: [...told.values()].reduce((sum, times) => sum + times - 1, 0)
})

process.on("message", (order: TreeOrder) => {
  if (order.do === "grow") void grow(order).then(() => process.send?.(count()))
  else process.send?.(count())
})
process.on("disconnect", () => process.exit(0))
