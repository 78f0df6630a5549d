import { once } from "node:events"
import { printable } from "./Printable.ts"

/** One JSON document on stdout, as programs read it. */
export const printJson = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value, null, 2)}\n`)

/** Text for people. */
export const printText = (text: string): void => void process.stdout.write(`${text}\n`)

/** What is not the result: goes to stderr. */
export const notice = (text: string): void => void process.stderr.write(`${printable(text)}\n`)

/** For output without end: waits while the reader is slower than we are. */
export const printLine = async (text: string): Promise<void> => {
  if (!process.stdout.write(`${text}\n`)) await once(process.stdout, "drain")
}
