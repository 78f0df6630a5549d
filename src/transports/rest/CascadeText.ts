import type { CascadeNode, CascadeRow } from "../../storage/CascadeStore.ts"
import { instant, jsonText } from "./JsonText.ts"

/** An operation, or the plan of one. */
export const cascadeText = (row: CascadeRow): string =>
  jsonText({
    id: row.id,
    app_id: row.appId,
    app_name: row.appName,
    action: row.action,
    cascade: row.scope !== "node",
    scope: row.scope,
    origin: row.origin,
    reason: row.reason,
    grace_ms: row.graceMs,
    deadline_ms: row.deadlineMs,
    filter: row.filter,
    issued_by: row.issuedBy,
    state: row.id === null ? "planned" : row.finishedAt === null ? "running" : "done",
    created_at: instant(row.createdAt),
    finished_at: instant(row.finishedAt),
    levels: row.levels,
    level: row.level,
    total: row.total,
    counts: row.counts,
    dry_run: row.id === null
  })

export const cascadeNodeText = (node: CascadeNode): string =>
  jsonText({
    app_id: node.appId,
    parent_id: node.parentId,
    app_name: node.appName,
    depth: node.depth,
    status: node.status,
    state: node.state,
    outcome: node.outcome,
    grace_ms: node.graceMs,
    correlation_id: node.correlationId,
    asked_at: instant(node.askedAt),
    delivered_at: instant(node.deliveredAt),
    resolved_at: instant(node.resolvedAt)
  })
