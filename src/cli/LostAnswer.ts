import { CliError } from "./CliError.ts"

/** No answer came to a call that changes something, or none that says what became of it: it may have been carried out. */
export class LostAnswer extends CliError {
  constructor({ exitCode, message, remedy }: CliError) {
    super(message, exitCode, remedy)
    this.name = "LostAnswer"
  }
}

/** What a view throws for an error of such a call: `said` is what may have happened, `look` how to find out. */
export const orLook = (error: unknown, said: string, look: string): unknown =>
  error instanceof LostAnswer ? new CliError(`${error.message} ${said}`, error.exitCode, look) : error
