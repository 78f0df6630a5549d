/** Exit codes (sysexits.h where it has one); those of `wait` are in `WaitVerdict.ts`. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 64,
  unavailable: 69,
  software: 70,
  cannotCreate: 73,
  output: 74,
  forbidden: 77,
  interrupted: 130,
  /** As a shell has it of a program that SIGPIPE has ended. */
  pipe: 141
} as const

/** What a person did or met that ends the command: printed without a stack, then the remedy in a line of its own. */
export class CliError extends Error {
  readonly exitCode: number
  /** What to do about it; null where the message says all. */
  readonly remedy: string | null

  constructor(message: string, exitCode: number, remedy: string | null = null) {
    super(message)
    this.name = "CliError"
    this.exitCode = exitCode
    this.remedy = remedy
  }
}

/** The same error with what to do where it was thrown; anything else as it is. */
export const withRemedy = (error: unknown, remedy: string): unknown =>
  error instanceof CliError ? new CliError(error.message, error.exitCode, remedy) : error

export const usageError = (message: string, remedy: string | null = null): CliError =>
  new CliError(message, EXIT.usage, remedy)
