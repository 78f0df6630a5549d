/** Exit codes besides 0 and 1 (lost or refused), after sysexits. */
export const EXIT = { usage: 64, unavailable: 69, internal: 70, config: 78 } as const

/** A run that could not be made, or had to be given up; the message says what to do. */
export class LoadError extends Error {
  readonly exitCode: number

  constructor(exitCode: number, message: string) {
    super(message)
    this.exitCode = exitCode
  }
}

/** What an error of the system says, on one line: several addresses may have been tried. */
export const reasonOf = (error: unknown): string => {
  if (error instanceof AggregateError && error.message === "") return error.errors.map(reasonOf).join(", ")
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? `${error.message} (${reasonOf(error.cause)})` : error.message
}
