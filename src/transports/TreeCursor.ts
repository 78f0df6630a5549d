/** Where a reader of a tree stands: the log id, and of the node that it asks for its own n (0: not known). */
export interface TreeCursor {
  readonly id: number
  readonly n: number
}

const NUMBER = /^(?:0|[1-9][0-9]{0,15})$/
const CURSOR = /^(\d{1,16})(?:-(\d{1,16}))?$/

/** The id in a cursor that a client sends; null: it is none of ours. Absent: the log's beginning. */
export const parseCursor = (from: string | undefined): number | null => {
  if (from === undefined) return 0
  const id = Number(from)
  return NUMBER.test(from) && Number.isSafeInteger(id) ? id : null
}

/** null: it is none. */
export const parseTreeCursor = (text: string): TreeCursor | null => {
  const [, id, n = "0"] = CURSOR.exec(text) ?? []
  const [readId, readN] = [parseCursor(id ?? "x"), parseCursor(n)]
  return readId === null || readN === null ? null : { id: readId, n: readN }
}

export const treeCursorText = ({ id, n }: TreeCursor): string => (n === 0 ? String(id) : `${id}-${n}`)
