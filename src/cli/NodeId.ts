import { parseUuid } from "../protocol/Uuid.ts"
import { Answered } from "./Answered.ts"
import type { Api } from "./Api.ts"
import { usageError } from "./CliError.ts"
import { printableLine } from "./Printable.ts"

/** Digits of an id that people are shown. */
const SHOWN = 8
/** How many candidates a refusal lists. */
const LISTED = 10
const PREFIX = /^[0-9a-f]{4,32}$/

export const shortId = (appId: string): string => appId.slice(0, SHOWN)

const dashed = (digits: string): string =>
  [
    [0, 8],
    [8, 12],
    [12, 16],
    [16, 20],
    [20, 32]
  ]
    .map(([from, to]) => digits.slice(from, to))
    .filter((group) => group !== "")
    .join("-")

/**
 * What a person wrote for an id, in lower case: the whole of it, or its first digits (four or more), dashes in their places or
 * left out. Null: it is none.
 */
export const parseIdName = (text: string): string | null => {
  const lower = text.trim().toLowerCase()
  const digits = lower.replaceAll("-", "")
  const whole = dashed(digits)
  return PREFIX.test(digits) && (lower === digits || lower === whole || lower === `${whole}-`) ? whole : null
}

/** The same of a node. Throws a CliError (64). */
export const parseNodeName = (text: string): string => {
  const name = parseIdName(text)
  if (name !== null) return name
  throw usageError(
    `"${printableLine(text.slice(0, 64))}" is not a node's id.`,
    "Give the id, e.g. 0b9c8f3e-3f6e-4a3b-9c55-0d6f3f1f2a77, or its first 4 digits or more; trails tree shows them."
  )
}

/** The complete id of what a person wrote. Throws a CliError (64) when it is no id, nobody's, or not one node's alone. */
export const resolveNodeId = async (api: Api, text: string): Promise<string> => {
  const name = parseNodeName(text)
  const complete = parseUuid(name)
  if (complete !== null) return complete
  const items = Answered.of(api, await api.get("apps", { prefix: name, limit: String(LISTED + 1) })).items()
  const [only] = items
  if (only === undefined)
    throw usageError(`No node's id begins with ${name}.`, "trails tree shows the newest trees and their ids.")
  if (items.length === 1) return only.id("app_id")
  const lines = items
    .slice(0, LISTED)
    .map(
      (item) =>
        `  ${item.id("app_id")}  ${printableLine(item.text("app_name"))} (${printableLine(item.text("status"))})`
    )
  throw usageError(
    `${items.length > LISTED ? `More than ${LISTED}` : items.length} ids begin with ${name}. Give more digits:`,
    [...lines, ...(items.length > LISTED ? ["  …"] : [])].join("\n")
  )
}
