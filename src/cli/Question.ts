import { createInterface } from "node:readline"

/** `none`: the terminal was closed (Ctrl-D), `interrupted`: Ctrl-C. */
export type Reply = "yes" | "no" | "none" | "interrupted"

/** Asks on the terminal, stdin and stderr. Whatever is not y or yes is no. */
export const askYesNo = (question: string): Promise<Reply> =>
  new Promise((resolve) => {
    const terminal = createInterface({ input: process.stdin, output: process.stderr })
    let reply: Reply = "none"
    terminal.once("SIGINT", () => {
      reply = "interrupted"
      terminal.close()
    })
    terminal.once("close", () => resolve(reply))
    terminal.question(question, (line) => {
      reply = /^y(?:es)?$/i.test(line.trim()) ? "yes" : "no"
      terminal.close()
    })
  })
