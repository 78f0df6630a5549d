import { Answered } from "./Answered.ts"
import type { Api, ApiAnswer } from "./Api.ts"
import { readTreeRow, type TreeRow } from "./TreeRow.ts"

/** A tree as the server answers it. */
export interface TreeAnswer {
  readonly items: ReadonlyArray<TreeRow>
  readonly cursor: string
  readonly truncated: boolean
  readonly total: number | null
  readonly unchanged: boolean
}

export const readTreeAnswer = (api: Api, answer: ApiAnswer): TreeAnswer => {
  const read = Answered.of(api, answer)
  return {
    items: read.items().map(readTreeRow),
    cursor: read.text("cursor"),
    truncated: read.flag("truncated"),
    total: read.optionalCount("total"),
    unchanged: read.flag("unchanged")
  }
}
