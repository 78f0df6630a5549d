import { CliError } from "./CliError.ts"

/** What trailsd itself has refused. */
export class Refusal extends CliError {
  /** For programs (docs/rest.md, Refusals). */
  readonly code: string

  constructor(code: string, message: string, exitCode: number, remedy: string | null = null) {
    super(message, exitCode, remedy)
    this.name = "Refusal"
    this.code = code
  }
}
