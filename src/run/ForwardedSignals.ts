/** What a terminal sends to a whole group by itself. */
const FROM_TERMINAL: ReadonlyArray<NodeJS.Signals> = ["SIGINT", "SIGQUIT"]
const OTHERS: ReadonlyArray<NodeJS.Signals> = ["SIGHUP", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGALRM"]

/**
 * Hands the wrapper's signals on to its command, and keeps the wrapper alive through them. A command in the foreground has
 * those of the terminal already. Stopping: SIGSTOP in SIGTSTP's place, which a group without a terminal would ignore.
 * Returns how to end it.
 */
export const forwardSignals = (send: (name: NodeJS.Signals) => void, foreground: boolean): (() => void) => {
  const handlers = new Map<NodeJS.Signals, () => void>()
  for (const name of FROM_TERMINAL) handlers.set(name, foreground ? () => {} : () => send(name))
  for (const name of OTHERS) handlers.set(name, () => send(name))
  if (!foreground) {
    handlers.set("SIGTSTP", () => {
      send("SIGSTOP")
      process.kill(process.pid, "SIGSTOP")
    })
    handlers.set("SIGCONT", () => send("SIGCONT"))
  }
  for (const [name, handler] of handlers) process.on(name, handler)
  return () => {
    for (const [name, handler] of handlers) process.off(name, handler)
  }
}
