import { CliError, EXIT } from "./CliError.ts"
import { printable } from "./Printable.ts"

const report = (text: string): void => void process.stderr.write(`${text}\n`)

/** Says on stderr what a command threw; returns the exit code for it. */
export const explain = (error: unknown): number => {
  if (error instanceof CliError) {
    report(`trails: ${printable(error.message)}`)
    if (error.remedy !== null) report(printable(error.remedy))
    return error.exitCode
  }
  report("trails: this is a defect of trails itself; please report it with the lines below.")
  report(printable(error instanceof Error ? (error.stack ?? error.message) : String(error)))
  return EXIT.software
}
