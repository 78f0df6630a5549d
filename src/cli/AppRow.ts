import { Answered } from "./Answered.ts"
import type { Api, ApiAnswer } from "./Api.ts"

/** A row of the view `apps` (PROTOCOL §12), columns that are shown. */
export interface AppRow {
  readonly app_id: string
  readonly parent_id: string | null
  readonly app_name: string
  readonly namespace: string
  readonly status: string
  readonly pod_name: string | null
  readonly pod_namespace: string | null
  readonly node_name: string | null
  readonly pid: number | string | null
  readonly executable: string | null
  readonly proc_user: string | null
  readonly server_instance: string | null
  readonly created_at: string
  readonly updated_at: string
  readonly metadata_json: {
    readonly level: string
    readonly tags: Readonly<Record<string, unknown>> | null
    readonly capabilities: ReadonlyArray<string> | null
    readonly incarnation: number
    readonly state_deadline_at: string | null
  }
}

export const readAppRow = (api: Api, answer: ApiAnswer): AppRow => {
  const read = Answered.of(api, answer)
  const metadata = read.object("metadata_json")
  return {
    app_id: read.id("app_id"),
    parent_id: read.optionalId("parent_id"),
    app_name: read.text("app_name"),
    namespace: read.text("namespace"),
    status: read.text("status"),
    pod_name: read.optionalText("pod_name"),
    pod_namespace: read.optionalText("pod_namespace"),
    node_name: read.optionalText("node_name"),
    pid: read.optionalNumber("pid"),
    executable: read.optionalText("executable"),
    proc_user: read.optionalText("proc_user"),
    server_instance: read.optionalText("server_instance"),
    created_at: read.text("created_at"),
    updated_at: read.text("updated_at"),
    metadata_json: {
      level: metadata.text("level"),
      tags: metadata.optionalObject("tags")?.fields ?? null,
      capabilities: metadata.optionalTexts("capabilities"),
      incarnation: metadata.count("incarnation"),
      state_deadline_at: metadata.optionalText("state_deadline_at")
    }
  }
}
