import { type Canvas, nodeLine } from "./NodeText.ts"
import type { TreeAnswer } from "./TreeAnswer.ts"
import type { TreeRow } from "./TreeRow.ts"

/** One tree's lines. Rows come parents before children; a row whose parent is not among them starts a tree. */
export const treeLines = (rows: ReadonlyArray<TreeRow>, canvas: Canvas): ReadonlyArray<string> => {
  const known = new Set(rows.map((row) => row.app_id))
  const below = new Map<string, Array<TreeRow>>()
  const tops: Array<TreeRow> = []
  for (const row of rows) {
    const siblings = row.parent_id !== null && known.has(row.parent_id) ? below.get(row.parent_id) : tops
    if (siblings === undefined) below.set(row.parent_id ?? "", [row])
    else siblings.push(row)
  }
  const lines: Array<string> = []
  const draw = (row: TreeRow, own: string, indent: string): void => {
    lines.push(nodeLine(row, own, canvas))
    const children = below.get(row.app_id) ?? []
    for (const [index, child] of children.entries()) {
      const last = index === children.length - 1
      draw(child, `${indent}${last ? "└─ " : "├─ "}`, `${indent}${last ? "   " : "│  "}`)
    }
  }
  for (const top of tops) draw(top, "", "")
  return lines
}

/** The lines of a server's answer, and how much of it there is not. */
export const answerLines = (answer: TreeAnswer, canvas: Canvas): ReadonlyArray<string> => {
  const lines = treeLines(answer.items, canvas)
  if (!answer.truncated) return lines
  const missing = (answer.total ?? 0) - answer.items.length
  return [...lines, canvas.paint("gray", missing > 0 ? `… and ${missing} nodes more` : "… and more nodes")]
}
