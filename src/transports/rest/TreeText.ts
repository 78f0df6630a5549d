import { isEnded } from "../../protocol/Ended.ts"
import type { NodeState } from "../../protocol/Frames.ts"
import type { Outcome } from "../../storage/NodeRow.ts"
import type { Standing, StoredText, TreeNode, TreeView } from "../../storage/TreeQueries.ts"
import { exactText, instant, jsonText } from "./JsonText.ts"

/** A `reconnecting` node has a reason too, but no outcome yet. */
const outcomeText = (
  status: NodeState,
  outcome: Omit<Outcome, "payload"> | null,
  payload: StoredText | null
): string | null =>
  !isEnded(status)
    ? null
    : exactText(
        {
          state: outcome?.state ?? status,
          reason: outcome?.reason ?? null,
          forced: outcome?.forced ?? false,
          late_start: outcome?.lateStart ?? false,
          payload_bytes: payload?.bytes ?? null
        },
        { payload: payload?.text ?? null }
      )

const whole = (text: string | null | undefined): StoredText | null =>
  text === null || text === undefined ? null : { text, bytes: Buffer.byteLength(text) }

/** `GET apps/{id}/wait`. */
export const standingText = ({ appId, appName, endedAt, outcome, snapshot, status }: Standing): string => {
  const latest = whole(snapshot)
  const members = {
    app_id: appId,
    app_name: appName,
    status,
    ended: isEnded(status),
    ended_at: instant(endedAt),
    snapshot_bytes: latest?.bytes ?? null
  }
  return exactText(members, { snapshot, outcome: outcomeText(status, outcome, whole(outcome?.payload)) })
}

const itemText = (node: TreeNode): string => {
  const members = {
    app_id: node.appId,
    parent_id: node.parentId,
    depth: node.depth,
    app_name: node.appName,
    namespace: node.namespace,
    level: node.level,
    tags: node.tags,
    status: node.status,
    created_at: instant(node.createdAt),
    started_at: instant(node.startedAt),
    connected_at: instant(node.connectedAt),
    disconnected_at: instant(node.disconnectedAt),
    ended_at: instant(node.endedAt),
    deadline_at: instant(node.deadlineAt),
    pod_name: node.hostname,
    node_name: node.nodeName,
    pid: node.pid,
    executable: node.executable,
    snapshot_bytes: node.snapshot?.bytes ?? null
  }
  const outcome = outcomeText(node.status, node.outcome, node.payload)
  return exactText(members, { snapshot: node.snapshot?.text ?? null, outcome })
}

/** `GET apps/{id}/tree`. */
export const treeText = ({ cursor, nodes, total }: TreeView): string => {
  const rest = { cursor: String(cursor), truncated: total !== null, total: total ?? nodes.length, unchanged: false }
  return `{"items":[${nodes.map(itemText).join(",")}],${jsonText(rest).slice(1)}`
}

/** `GET apps/{id}/tree` when nothing has happened since `cursor`. */
export const unchangedText = (cursor: number): string =>
  jsonText({ items: [], cursor: String(cursor), truncated: false, total: null, unchanged: true })
