import type { Row } from "./Database.ts"

/** Between `Pglite.ts` and its worker thread, by postMessage; answered in the order of the requests. */
export interface PgliteRequest {
  readonly id: number
  /** Empty: unprepared, by the simple protocol, may be a script. */
  readonly name: string
  readonly text: string
  readonly params: ReadonlyArray<string | null>
}

export interface PgliteFailure {
  readonly message: string
  readonly code?: string | undefined
  readonly table?: string | undefined
  readonly column?: string | undefined
  readonly constraint?: string | undefined
}

export type PgliteAnswer =
  | { readonly _tag: "Ready" }
  | { readonly _tag: "Broken"; readonly message: string }
  | { readonly _tag: "Rows"; readonly id: number; readonly rows: ReadonlyArray<Row> }
  | { readonly _tag: "Failed"; readonly id: number; readonly failure: PgliteFailure }
  | { readonly _tag: "Closed" }

export type PgliteCommand = PgliteRequest | "close"
