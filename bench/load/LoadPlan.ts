import type { LoadFlags } from "./LoadFlags.ts"
import type { NodeBirth } from "./LoadNode.ts"
import type { Counts, Report } from "./Tally.ts"

/** What one process has to do. */
export interface LoadPlan extends Pick<LoadFlags, "level" | "legacy" | "window" | "nodesPerSocket" | "width" | "rate"> {
  readonly urls: ReadonlyArray<string>
  /** Index of the URL that the first socket connects to; the next socket takes the next one. */
  readonly firstUrl: number
  /** Above `open`: `ed25519:<base64>`, which every server frame is verified under. */
  readonly serverKey: string | null
  /** JSON text of each message's payload. */
  readonly payload: string
  /** Null: each node has its quota. */
  readonly seconds: number | null
  readonly births: ReadonlyArray<NodeBirth>
}

/** From the main process. `stop` ends the sending, `finish` the drain too. */
export type Command =
  | { readonly do: "start"; readonly plan: LoadPlan }
  | { readonly do: "go" }
  | { readonly do: "stop" }
  | { readonly do: "finish" }

/** To the main process. Nodes that were refused count as attached. */
export type News =
  | { readonly is: "ready" }
  | { readonly is: "attached" }
  | { readonly is: "counts"; readonly counts: Counts; readonly trouble: string | null }
  | { readonly is: "done"; readonly report: Report }
