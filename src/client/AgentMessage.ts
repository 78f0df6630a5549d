/**
 * What processes below a `trails run` ask of it, through the Unix socket in `TRAILS_AGENT` (docs/cli.md). One request a
 * connection: a line of JSON, for `report` followed by the payload's own text; then the writing side ends. The answer is
 * one line of JSON.
 */
export type AgentRequest =
  /** Who am I? `appId`: of the TRAILS_INFO that the process has. */
  | { readonly op: "claim"; readonly appId: string | null }
  /** A birth certificate for a child of the run. */
  | {
      readonly op: "child"
      readonly appId: string
      readonly name: string
      readonly childKey: string
      readonly tags: Readonly<Record<string, string>> | null
      /** The span of the process that asks; null: a new one below the run's. */
      readonly traceparent: string | null
    }
  /** Speaks for the run. `payload`: exact JSON text. */
  | { readonly op: "report"; readonly kind: "status" | "result" | "error"; readonly payload: string }
  | { readonly op: "whoami" }

export type AgentAnswer =
  /** `info`: an envelope's base64; null: the one that the process has is its own. */
  | { readonly ok: true; readonly info: string | null }
  /** `known`: its server has known it, or the run around it, at some time. */
  | {
      readonly ok: true
      readonly appId: string
      readonly name: string
      readonly attached: boolean
      readonly known: boolean
    }
  | { readonly ok: true }
  | { readonly ok: false; readonly code: AgentRefusal; readonly message: string }

/**
 * - `bad_request`: not understood.
 * - `not_json`, `too_large`, `full`: of a report.
 * - `ended`: the command of the run has ended.
 * - `unavailable`: the run does not know yet who it is, because its server is away.
 */
export type AgentRefusal = "bad_request" | "not_json" | "too_large" | "full" | "ended" | "unavailable"
