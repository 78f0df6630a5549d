import { Answered } from "./Answered.ts"
import { Api } from "./Api.ts"
import { type CommandAnswer, readCommandItem } from "./CommandAnswer.ts"
import type { CommonOptions } from "./CommonOptions.ts"
import { elementTexts, inOneLine, memberText } from "./JsonSlice.ts"
import { resolveNodeId } from "./NodeId.ts"
import { notice, printText, terminalWidth, writeJsonText } from "./Output.ts"
import { type Paint, paintFor } from "./Paint.ts"
import { printableLine } from "./Printable.ts"
import { findServer } from "./ServerPlace.ts"
import { cutToWidth } from "./TextWidth.ts"
import { clockText } from "./TimeText.ts"

export interface CommandsOptions extends CommonOptions {
  readonly open?: boolean
}

/** As many as one page has. */
const LIMIT = "500"

const stateOf = ({ ack, state }: CommandAnswer, paint: Paint): string =>
  state !== "answered"
    ? paint(state === "expired" ? "yellow" : "cyan", state.padEnd(9))
    : ack
      ? paint("green", "acked    ")
      : paint("red", "refused  ")

const lineOf = (command: CommandAnswer, now: Date, width: number | null, paint: Paint): string => {
  const { action, correlationId, error, issuedAt, issuedBy, payloadText, resultText } = command
  const said = [payloadText, resultText]
    .map((text) => (text === "null" ? "" : inOneLine(text)))
    .concat(error ?? "")
    .filter((part) => part !== "")
  const head = `${clockText(new Date(issuedAt), now)}  ${correlationId}  `
  const rest = printableLine(`${action}  ${said.join("  →  ")}  by ${issuedBy}`)
  const room = width === null ? Number.POSITIVE_INFINITY : Math.max(width - head.length - 11, 8)
  return `${paint("gray", head)}${stateOf(command, paint)}  ${cutToWidth(rest, room)}`
}

/** The commands of a node, the newest last: there a terminal's reader looks first. */
export const showCommands = async (id: string, options: CommandsOptions): Promise<void> => {
  const api = new Api(findServer(options.server))
  const appId = await resolveNodeId(api, id)
  const query = { limit: LIMIT, ...(options.open === true ? { state: "open" } : {}) }
  const answer = await api.get(`apps/${appId}/commands`, query)
  const page = Answered.of(api, answer)
  const texts = elementTexts(memberText(answer.text, "items") ?? "[]")
  const commands = page.items().map((item, index) => readCommandItem(item, texts[index] ?? "{}"))
  if (options.json === true) return writeJsonText(`{"items":[${texts.join(",")}]}`)
  if (commands.length === 0) return notice("There are none.")
  if (page.next() !== null) notice(`The newest ${commands.length}; there are more.`)
  const lines = commands.map((command) =>
    lineOf(command, new Date(answer.now), terminalWidth(), paintFor(process.stdout))
  )
  printText(lines.toReversed().join("\n"))
}
