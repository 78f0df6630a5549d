import { parseUuid } from "../protocol/Uuid.ts"
import { Answered } from "./Answered.ts"
import type { Api } from "./Api.ts"
import { type CliError, usageError } from "./CliError.ts"
import { parseIdName } from "./NodeId.ts"
import { printableLine } from "./Printable.ts"

/** What to do without an operation's id. */
export const LISTS_OPERATIONS = "trails cascade lists the operations."
/** The newest, among which the first digits of an id are looked for. */
const NEWEST = 100

export const noOperation = (id: string): CliError => usageError(`There is no operation ${id}.`, LISTS_OPERATIONS)

/**
 * The complete id of an operation from what a person wrote: its id, or the first digits of a recent one's. Throws a CliError
 * (64).
 */
export const resolveOperationId = async (api: Api, text: string): Promise<string> => {
  const name = parseIdName(text)
  if (name === null)
    throw usageError(`"${printableLine(text.slice(0, 64))}" is not an operation's id.`, LISTS_OPERATIONS)
  const complete = parseUuid(name)
  if (complete !== null) return complete
  const items = Answered.of(api, await api.get("cascades", { limit: String(NEWEST) })).items()
  const [only, ...others] = items.map((item) => item.id("id")).filter((id) => id.startsWith(name))
  if (only === undefined)
    throw usageError(`None of the newest ${NEWEST} operations has an id that begins with ${name}.`, LISTS_OPERATIONS)
  if (others.length > 0)
    throw usageError(`${others.length + 1} operations' ids begin with ${name}. Give more digits.`, LISTS_OPERATIONS)
  return only
}
