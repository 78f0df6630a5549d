import type { Paint } from "./Paint.ts"
import { printableLine } from "./Printable.ts"
import { cutToWidth } from "./TextWidth.ts"

const KIND_STYLE: Readonly<Record<string, Parameters<Paint>[0]>> = {
  result: "green",
  error: "red",
  crash: "red",
  lost_contact: "red",
  start_failed: "magenta",
  impostor: "red",
  refused: "yellow",
  cancelled: "yellow",
  reconnecting: "yellow"
}

/** What the server knows of an event: `name=value name=value`. */
export const factsText = (facts: object): string =>
  Object.entries(facts)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ")

/** One event: where and when, its kind, and what is told of it. `width`: null for lines of any length. */
export const kindLine = (head: string, kind: string, told: string, width: number | null, paint: Paint): string => {
  const name = printableLine(kind).padEnd(12)
  const room = width === null ? Number.POSITIVE_INFINITY : Math.max(width - head.length - name.length - 1, 8)
  const rest = cutToWidth(printableLine(told), room)
  return `${paint("gray", head)}${paint(KIND_STYLE[kind] ?? "cyan", name)} ${rest}`.trimEnd()
}
