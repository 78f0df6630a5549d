import { shortId } from "./NodeId.ts"
import { type Paint, STATE_STYLE } from "./Paint.ts"
import { payloadText } from "./PayloadText.ts"
import { printableLine } from "./Printable.ts"
import { cutToWidth, textWidth } from "./TextWidth.ts"
import { durationText } from "./TimeText.ts"
import { hasEnded, type TreeRow } from "./TreeRow.ts"

/** The little that a payload is left with on a narrow terminal. */
const LEAST_DETAIL = 12
/** Characters of a payload where no terminal limits the line. */
const WIDEST_DETAIL = 100

export interface Canvas {
  readonly paint: Paint
  /** Columns of the terminal; null: lines may be of any length. */
  readonly width: number | null
  /** The server's clock, epoch milliseconds. */
  readonly now: number
}

export const stateText = (status: string, paint: Paint): string => {
  const { style, symbol } = STATE_STYLE[status] ?? { symbol: "?", style: "white" as const }
  return paint(style, `${symbol} ${printableLine(status)}`)
}

/** How long it has been at work, or was; of one that has not begun nothing. */
export const durationOf = (row: TreeRow, now: number): string => {
  if (row.started_at === null) return ""
  const end = hasEnded(row.status) && row.ended_at !== null ? Date.parse(row.ended_at) : now
  return durationText(end - Date.parse(row.started_at))
}

/** Host and process id; in Kubernetes the pod and its node. */
export const placeOf = ({ node_name, pid, pod_name }: TreeRow): string =>
  printableLine(
    [pod_name, node_name === null ? null : `on ${node_name}`, pid === null ? null : `pid ${pid}`]
      .filter((part) => part !== null)
      .join(" ")
  )

const join = (...parts: ReadonlyArray<string>): string => parts.filter((part) => part !== "").join(" · ")

const until = (row: TreeRow, now: number): string =>
  row.deadline_at === null ? "" : durationText(Date.parse(row.deadline_at) - now)

/** What it says of itself: the progress of one at work, the outcome of one that has ended. */
export const detailOf = (row: TreeRow, now: number): string => {
  const { outcome, snapshot, status } = row
  const left = until(row, now)
  if (status === "scheduled") return left === "" ? "" : `must start within ${left}`
  if (status === "reconnecting") return join(left === "" ? "" : `given up in ${left}`, payloadText(snapshot))
  if (!hasEnded(status)) return payloadText(snapshot)
  const reason = printableLine(outcome?.reason ?? "")
  const forced = outcome?.forced === true ? "forced" : ""
  if (status === "crashed" || status === "lost_contact") return join(reason, payloadText(snapshot))
  const said = payloadText(outcome?.payload)
  return join(reason === "completed" ? "" : reason, forced, said)
}

/** One node in one line, behind `branches`; the payload gets what room is left. */
export const nodeLine = (row: TreeRow, branches: string, canvas: Canvas): string => {
  const { now, paint, width } = canvas
  const name = printableLine(row.app_name)
  const id = shortId(row.app_id)
  const state = `${STATE_STYLE[row.status]?.symbol ?? "?"} ${printableLine(row.status)}`
  const fixed = [name, state, durationOf(row, now), placeOf(row)].filter((part) => part !== "")
  const taken = textWidth(`${branches}${id} ${fixed.join("  ")}`)
  const room = width === null ? WIDEST_DETAIL : Math.max(width - taken - 2, LEAST_DETAIL)
  const detail = cutToWidth(detailOf(row, now), room)
  const duration = durationOf(row, now)
  const pieces: ReadonlyArray<readonly [text: string, painted: (text: string) => string]> = [
    [branches, (text) => paint("gray", text)],
    [id, (text) => paint("gray", text)],
    [` ${name}`, (text) => paint("bold", text)],
    [`  ${state}`, (text) => paint(STATE_STYLE[row.status]?.style ?? "white", text)],
    [detail === "" ? "" : `  ${detail}`, (text) => text],
    [duration === "" ? "" : `  ${duration}`, (text) => paint("cyan", text)],
    [placeOf(row) === "" ? "" : `  ${placeOf(row)}`, (text) => paint("gray", text)]
  ]
  return cutPieces(pieces, width)
}

/** Cut before it is painted: colours have no width. */
const cutPieces = (
  pieces: ReadonlyArray<readonly [text: string, painted: (text: string) => string]>,
  width: number | null
): string => {
  let left = width ?? Number.POSITIVE_INFINITY
  let line = ""
  for (const [text, painted] of pieces) {
    const cut = cutToWidth(text, left)
    line += painted(cut)
    left -= textWidth(text)
    if (left <= 0) break
  }
  return line
}
