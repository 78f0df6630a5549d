import { once } from "node:events"
import { printable, printableJson } from "./Printable.ts"

/** JSON that is written as it came, to a program; on a terminal what could harm it is escaped, with the same meaning. */
const safe = (json: string): string => (process.stdout.isTTY ? printableJson(json) : json)

/** One JSON document on stdout. */
export const printJson = (value: unknown): void => writeJsonText(JSON.stringify(value, null, 2))

/** A JSON document whose exact text is known. */
export const writeJsonText = (json: string): void => void process.stdout.write(`${safe(json)}\n`)

/** Text for people, already safe for a terminal. */
export const printText = (text: string): void => void process.stdout.write(`${text}\n`)

/** What is not the result: goes to stderr. */
export const notice = (text: string): void => void process.stderr.write(`${printable(text)}\n`)

/** For output without end: waits while the reader is slower than we are. */
export const printLine = async (text: string): Promise<void> => {
  if (!process.stdout.write(`${text}\n`)) await once(process.stdout, "drain")
}

/** One JSON document of a stream of them. */
export const printJsonLine = (json: string): Promise<void> => printLine(safe(json))

/** Columns of the terminal; null where the output is none. */
export const terminalWidth = (): number | null =>
  process.stdout.isTTY && process.stdout.columns > 0 ? process.stdout.columns : null
