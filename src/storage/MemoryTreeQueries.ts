import { Effect, Layer } from "effect"
import { type MemoryNode, MemoryTables, step } from "./MemoryTables.ts"
import {
  COUNTED,
  type Standing,
  type StoredText,
  TREE_PAYLOAD,
  TREE_PAYLOADS,
  type TreeBounds,
  type TreeNode,
  TreeQueries,
  type TreeView
} from "./TreeQueries.ts"

type Tables = MemoryTables["Service"]

const standingOf = ({ endedAt, row, snapshot }: MemoryNode): Standing => ({
  appId: row.appId,
  appName: row.appName,
  status: row.status,
  n: row.n,
  endedAt,
  outcome: row.outcome,
  snapshot
})

const bytesOf = (text: string | null | undefined): number =>
  text === null || text === undefined ? 0 : Buffer.byteLength(text)

const storedText = (text: string | null | undefined, fits: boolean): StoredText | null => {
  if (text === null || text === undefined) return null
  const bytes = bytesOf(text)
  return { text: fits && bytes <= TREE_PAYLOAD ? text : null, bytes }
}

const nodeOf = (node: MemoryNode, depth: number, fits: boolean): TreeNode => {
  const { processInfo: info, row } = node
  const { payload, ...outcome } = row.outcome ?? {}
  return {
    appId: row.appId,
    parentId: row.parentId,
    depth,
    appName: row.appName,
    namespace: row.namespace,
    level: row.level,
    tags: row.tags,
    status: row.status,
    snapshot: storedText(node.snapshot, fits),
    outcome: row.outcome === null ? null : (outcome as TreeNode["outcome"]),
    payload: storedText(payload, fits),
    createdAt: node.createdAt,
    startedAt: node.keys.at(-1)?.from ?? null,
    connectedAt: node.connectedAt,
    disconnectedAt: node.disconnectedAt,
    endedAt: node.endedAt,
    deadlineAt: row.deadlineAt,
    hostname: info?.hostname ?? null,
    nodeName: info?.node_name ?? null,
    pid: info?.pid ?? null,
    executable: info?.executable ?? null
  }
}

/** Everything at and below the node in order; a map keeps the order of births. */
const walk = (tables: Tables, top: MemoryNode, levels: number): ReadonlyArray<readonly [MemoryNode, number]> => {
  const found: Array<readonly [MemoryNode, number]> = []
  const visit = (node: MemoryNode, depth: number): void => {
    found.push([node, depth])
    if (depth === levels) return
    for (const child of tables.nodes.values()) if (child.row.parentId === node.row.appId) visit(child, depth + 1)
  }
  visit(top, 0)
  return found
}

const treeOf = (tables: Tables, top: MemoryNode, { depth, limit }: TreeBounds): TreeView => {
  const all = walk(tables, top, depth)
  let filled = 0
  const nodes = all.slice(0, limit).map(([node, level]) => {
    filled += bytesOf(node.snapshot) + bytesOf(node.row.outcome?.payload)
    return nodeOf(node, level, filled <= TREE_PAYLOADS)
  })
  return { nodes, total: all.length > limit ? Math.min(all.length, COUNTED) : null, cursor: tables.log.length }
}

/** `TreeQueries` in memory: for unit tests. */
export const layer: Layer.Layer<TreeQueries, never, MemoryTables> = Layer.effect(
  TreeQueries,
  Effect.gen(function* () {
    const tables = yield* MemoryTables
    return {
      standing: (appId) =>
        step(tables, (t) => {
          const node = t.nodes.get(appId)
          return node === undefined ? null : standingOf(node)
        }),
      moved: (appIds) =>
        step(
          tables,
          (t) =>
            new Map(
              appIds.flatMap((id) => {
                const node = t.nodes.get(id)
                return node === undefined ? [] : [[id, standingOf(node)] as const]
              })
            )
        ),
      tree: (appId, bounds) =>
        step(tables, (t) => {
          const top = t.nodes.get(appId)
          return top === undefined ? null : treeOf(t, top, bounds)
        }),
      stirredSince: (appId, after) =>
        step(tables, (t) => {
          const node = t.nodes.get(appId)
          if (node === undefined) return null
          const later = t.log.slice(after)
          const below = (id: string) => t.nodes.get(id)?.row.path.slice(0, -1).includes(appId) === true
          return {
            stirred: later.some((row) => row.appId === appId || (row.kind !== "refused" && below(row.appId))),
            foreign: after > t.log.length,
            n: node.row.n,
            newest: t.log.length
          }
        })
    }
  })
)
