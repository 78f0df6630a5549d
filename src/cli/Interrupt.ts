import { constants } from "node:os"

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const

/**
 * Lets a command that waits end in good order when it is told to stop, with the exit code that a shell expects. A second
 * signal ends the process at once. Gives what undoes it.
 */
export const onInterrupt = (stop: () => void): (() => void) => {
  const told = (signal: NodeJS.Signals) => {
    process.exitCode = 128 + constants.signals[signal]
    for (const name of SIGNALS) process.off(name, told)
    stop()
  }
  for (const name of SIGNALS) process.on(name, told)
  return () => {
    for (const name of SIGNALS) process.off(name, told)
  }
}
