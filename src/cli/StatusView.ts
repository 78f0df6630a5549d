import { Api } from "./Api.ts"
import { type AppRow, readAppRow } from "./AppRow.ts"
import type { CommonOptions } from "./CommonOptions.ts"
import { durationOf, stateText } from "./NodeText.ts"
import { resolveNodeId } from "./NodeId.ts"
import { printText, writeJsonText } from "./Output.ts"
import { type Paint, paintFor } from "./Paint.ts"
import { printableJson, printableLine } from "./Printable.ts"
import { findServer } from "./ServerPlace.ts"
import { clockText, durationText } from "./TimeText.ts"
import { readTree } from "./TreeFeed.ts"
import type { TreeRow } from "./TreeRow.ts"
import { readWaitAnswer, type WaitAnswer } from "./WaitAnswer.ts"

const valueText = (value: unknown): string => printableLine(typeof value === "string" ? value : JSON.stringify(value))

const tagsText = (tags: Readonly<Record<string, unknown>> | null): string =>
  Object.entries(tags ?? {})
    .map(([name, value]) => `${printableLine(name)}=${valueText(value)}`)
    .join(" ")

const placeText = (row: AppRow): string =>
  [
    row.pod_name,
    row.node_name === null ? null : `on ${row.node_name}`,
    row.pod_namespace === null ? null : `in ${row.pod_namespace}`,
    row.pid === null ? null : `pid ${row.pid}`,
    row.proc_user === null ? null : `user ${row.proc_user}`
  ]
    .filter((part) => part !== null)
    .join(" ")

const timeText = (at: string | null, now: number): string =>
  at === null ? "" : `${clockText(new Date(at), new Date(now))} (${durationText(now - Date.parse(at))} ago)`

/** Lines of `name value`; what is empty is left out. */
export const statusLines = (
  row: AppRow,
  node: TreeRow,
  wait: WaitAnswer,
  now: number,
  paint: Paint
): ReadonlyArray<string> => {
  const { capabilities, incarnation, level, state_deadline_at, tags } = row.metadata_json
  const { outcome } = wait
  const left = state_deadline_at === null ? "" : `in ${durationText(Date.parse(state_deadline_at) - now)}`
  const reason = [outcome?.reason ?? "", outcome?.forced === true ? "forced" : ""].filter((part) => part !== "")
  const fields: ReadonlyArray<readonly [name: string, value: string]> = [
    ["name", paint("bold", printableLine(row.app_name))],
    ["id", row.app_id],
    ["parent", row.parent_id ?? "none: a root"],
    ["state", stateText(wait.status, paint)],
    ["reason", printableLine(reason.join(", "))],
    ["changes by itself", left],
    ["result", wait.payloadText === "null" ? "" : printableJson(wait.payloadText)],
    ["progress", wait.snapshotText === "null" ? "" : printableJson(wait.snapshotText)],
    ["created", timeText(row.created_at, now)],
    ["started", timeText(node.started_at, now)],
    ["ended", timeText(wait.endedAt, now)],
    ["duration", durationOf(node, now)],
    ["runs at", printableLine(placeText(row))],
    ["executable", printableLine(row.executable ?? "")],
    ["starts", incarnation > 1 ? String(incarnation) : ""],
    ["level", printableLine(level)],
    ["namespace", row.namespace === "default" ? "" : printableLine(row.namespace)],
    ["tags", tagsText(tags)],
    ["takes", (capabilities ?? []).map(printableLine).join(" ")],
    ["server", printableLine(row.server_instance ?? "")]
  ]
  const shown = fields.filter(([, value]) => value !== "")
  const width = Math.max(...shown.map(([name]) => name.length))
  return shown.map(([name, value]) => `${paint("gray", name.padEnd(width))}  ${value}`)
}

export const showStatus = async (id: string, options: CommonOptions): Promise<void> => {
  const api = new Api(findServer(options.server))
  const appId = await resolveNodeId(api, id)
  const app = await api.get(`apps/${appId}`)
  const row = readAppRow(api, app)
  const wait = readWaitAnswer(api, await api.get(`apps/${appId}/wait`, { timeout: "0" }))
  if (options.json !== true) {
    const [node] = (await readTree(api, appId, { depth: "0" })).answer.items
    const lines = node === undefined ? [] : statusLines(row, node, wait, app.now, paintFor(process.stdout))
    return printText(lines.join("\n"))
  }
  const { ended, endedAt, outcomeText, snapshotText } = wait
  const added = `"ended":${ended},"ended_at":${JSON.stringify(endedAt)},"outcome":${outcomeText},"snapshot":${snapshotText}`
  writeJsonText(`${app.text.trimEnd().slice(0, -1)},${added}}`)
}
