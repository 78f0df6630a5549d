import { hash } from "node:crypto"
import { encodeNamespace, label, subtreeFilter } from "../protocol/Subjects.ts"
import { SUBJECT_LABELS } from "../protocol/Limits.ts"
import { Answered } from "./Answered.ts"
import { Api } from "./Api.ts"
import { resolveNodeId } from "./NodeId.ts"
import { printJson, printText } from "./Output.ts"
import { findServer } from "./ServerPlace.ts"

const sha256 = (bytes: Uint8Array): Uint8Array => hash("sha256", bytes, "buffer")

export interface Subjects {
  readonly app_id: string
  readonly label: string
  /** Of the node's own events, every kind. */
  readonly subject: string
  /** Of the node and everything below it. */
  readonly subtree: string
}

/** `path`: ids from the root to the node (PROTOCOL §11). */
export const subjectsOf = (namespace: string, path: ReadonlyArray<string>): Subjects => {
  const labels = path.map((appId) => label(appId, sha256))
  return {
    app_id: path.at(-1) ?? "",
    label: labels.at(-1) ?? "",
    subject: `trails.${encodeNamespace(namespace, sha256)}.*.${labels.slice(0, SUBJECT_LABELS).join(".")}._`,
    subtree: subtreeFilter(path, sha256)
  }
}

export const showSubject = async (
  id: string,
  options: { readonly server?: string; readonly json?: boolean; readonly label?: boolean; readonly subtree?: boolean }
): Promise<void> => {
  const api = new Api(findServer(options.server))
  const app = Answered.of(api, await api.get(`apps/${await resolveNodeId(api, id)}`))
  const subjects = subjectsOf(app.text("namespace"), app.object("metadata_json").texts("path"))
  if (options.json === true) printJson(subjects)
  else
    printText(options.label === true ? subjects.label : options.subtree === true ? subjects.subtree : subjects.subject)
}
