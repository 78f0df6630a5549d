import { Effect, Layer } from "effect"
import type { LogRow } from "./LogRow.ts"
import { MemoryTables, step } from "./MemoryTables.ts"
import { TreeLog, type TreeLogRow } from "./TreeLog.ts"

type Tables = MemoryTables["Service"]

const rowOf = (tables: Tables, { bytes: _bytes, payload: _payload, ...row }: LogRow): TreeLogRow | null => {
  const node = tables.nodes.get(row.appId)?.row
  if (node === undefined || row.kind === "refused") return null
  const { appName, namespace, parentId, path, rootId } = node
  return { ...row, parentId, rootId, path, appName, namespace }
}

/** `TreeLog` in memory: for unit tests. A node's place never changes there, and rows have no bound in bytes. */
export const layer: Layer.Layer<TreeLog, never, MemoryTables> = Layer.effect(
  TreeLog,
  Effect.gen(function* () {
    const tables = yield* MemoryTables
    const rowsAfter = (t: Tables, after: number): ReadonlyArray<TreeLogRow> =>
      t.log.slice(Math.max(0, after)).flatMap((row) => rowOf(t, row) ?? [])
    return {
      follow: (ancestor, scope, after, limit) =>
        step(tables, (t) => {
          const rows = rowsAfter(t, after).filter(({ parentId, path }) =>
            scope === "children" ? parentId === ancestor : path.slice(0, -1).includes(ancestor)
          )
          return { rows: rows.slice(0, limit), more: rows.length >= limit }
        }),
      own: (appId, n, limit) =>
        step(tables, (t) => {
          const rows = rowsAfter(t, 0).filter((row) => row.appId === appId && row.n > n)
          return { rows: rows.slice(0, limit), more: rows.length >= limit }
        }),
      all: (after, limit) =>
        step(tables, (t) => {
          const rows = rowsAfter(t, after)
          return { rows: rows.slice(0, limit), more: rows.length >= limit }
        }),
      head: step(tables, (t) => ({ newest: t.log.length, drawn: t.log.length })),
      stirred: (ancestors, after, upTo) =>
        step(tables, (t) => {
          const found = new Map<string, number>()
          for (const { id, path } of rowsAfter(t, after)) {
            if (id > upTo) break
            for (const above of path.slice(0, -1)) if (ancestors.includes(above)) found.set(above, id)
          }
          return found
        })
    }
  })
)
