/** Nodes that answer a command with its payload, and report at a rate of their own; told what to do by the bench. */
import { makeInit } from "../../src/client/init.ts"
import { nodePlatform } from "../../src/client/NodePlatform.ts"
import type { TrailsNode } from "../../src/client/TrailsNode.ts"

export type Echo =
  | { readonly do: "start"; readonly url: string; readonly nodes: number }
  /** Status reports a second, of all nodes together. */
  | { readonly do: "stream"; readonly rate: number }
  | { readonly do: "count" }

export interface EchoCount {
  readonly ids: ReadonlyArray<string>
  readonly acked: number
  readonly dropped: number
}

const TICK_MS = 10

const nodes: Array<TrailsNode> = []

const start = async (url: string, count: number): Promise<void> => {
  for (let i = 0; i < count; i++) {
    const node = await makeInit(nodePlatform)({ root: { appName: "echo", serverEp: url }, exitHook: false })
    node.on("echo", (payload) => payload)
    await node.ready()
    nodes.push(node)
  }
}

const stream = (rate: number): void => {
  let sent = 0
  const from = performance.now()
  setInterval(() => {
    const due = ((performance.now() - from) / 1000) * rate
    for (; sent < due; sent++) nodes[sent % nodes.length]!.status({ step: sent, phase: "under way" })
  }, TICK_MS)
}

const count = (): EchoCount => {
  const stats = nodes.map((node) => node.stats())
  return {
    ids: nodes.map(({ appId }) => appId),
    acked: stats.reduce((sum, { acked }) => sum + acked, 0),
    dropped: stats.reduce((sum, { dropped }) => sum + dropped, 0)
  }
}

process.on("message", (order: Echo) => {
  const answer = () => void process.send?.(count())
  if (order.do === "start") return void start(order.url, order.nodes).then(answer)
  if (order.do === "stream") stream(order.rate)
  answer()
})
process.on("disconnect", () => process.exit(0))
