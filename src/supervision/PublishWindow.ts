import type { TreeLogRow } from "../storage/TreeLog.ts"
import type { EventMessage, Fate, OpenOutlet } from "./EventOutlet.ts"

/** A row on its way out: as a message, or with what is wrong with it. */
export interface Prepared {
  readonly row: TreeLogRow
  readonly message: EventMessage | null
  /** Why there is no message. */
  readonly unfit: string | null
}

/** Events under way at once, in bytes; one larger than that goes alone. */
const MOST_BYTES = 4 * 1024 * 1024

const render = (row: TreeLogRow, stream: OpenOutlet, bare: boolean): Prepared => {
  try {
    const made = stream.render(row, bare)
    return "unfit" in made ? { row, message: null, unfit: made.unfit } : { row, message: made, unfit: null }
  } catch (defect) {
    // A row that nobody has thought of: it is passed over like any other that is unfit (E4).
    return { row, message: null, unfit: defect instanceof Error ? defect.message : String(defect) }
  }
}

/** The next rows from `from` on, rendered: at most `count`, and within a budget of bytes. `bare`: ids to do without frame. */
export const prepare = (
  rows: ReadonlyArray<TreeLogRow>,
  from: number,
  count: number,
  stream: OpenOutlet,
  bare: ReadonlySet<number>
): ReadonlyArray<Prepared> => {
  const prepared: Array<Prepared> = []
  let bytes = 0
  for (const row of rows.slice(from, from + count)) {
    const next = render(row, stream, bare.has(row.id))
    bytes += next.message?.body.length ?? 0
    if (prepared.length > 0 && bytes > MOST_BYTES) break
    prepared.push(next)
  }
  return prepared
}

export interface Settled {
  /** Rows that are done with, a run from the first on. */
  readonly through: ReadonlyArray<TreeLogRow>
  /** Those of them that were passed over. */
  readonly passed: ReadonlyArray<{ readonly row: TreeLogRow; readonly why: string }>
  readonly stored: number
  /** Id of the last one stored. */
  readonly last: string | null
  /** Where the run ended before its time; null: all are through. */
  readonly stop: { readonly row: TreeLogRow; readonly fate: Fate } | null
}

/** Reads the fates of a window, those of its messages in order. What stands behind the first failure is not believed. */
export const settle = (prepared: ReadonlyArray<Prepared>, fates: ReadonlyArray<Fate>): Settled => {
  const through: Array<TreeLogRow> = []
  const passed: Array<{ readonly row: TreeLogRow; readonly why: string }> = []
  let stored = 0
  let last: string | null = null
  for (const { message, row, unfit } of prepared) {
    if (message === null) passed.push({ row, why: unfit ?? "" })
    else {
      const fate = fates[stored] ?? { _tag: "unknown", why: "no answer" }
      if (fate._tag === "unfit" && message.bare) {
        // Its followers were not stored either: they are sent anew behind the one before it.
        return { through: [...through, row], passed: [...passed, { row, why: fate.why }], stored, last, stop: null }
      }
      if (fate._tag !== "stored") return { through, passed, stored, last, stop: { row, fate } }
      stored++
      last = message.id
    }
    through.push(row)
  }
  return { through, passed, stored, last, stop: null }
}
