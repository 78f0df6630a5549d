import { type ChildProcess, fork } from "node:child_process"
import { join } from "node:path"
import type { Echo, EchoCount } from "./echoClients.ts"

/** Nodes in a process of their own that answer a command with its payload (`echoClients.ts`). */
export class EchoNodes implements Disposable {
  readonly #process: ChildProcess

  constructor() {
    this.#process = fork(join(import.meta.dirname, "echoClients.ts"), {
      stdio: ["ignore", "inherit", "inherit", "ipc"]
    })
  }

  ask(order: Echo): Promise<EchoCount> {
    return new Promise((resolve, reject) => {
      const ended = () => reject(new Error("the process of the nodes has ended"))
      this.#process.once("exit", ended)
      this.#process.once("message", (count: EchoCount) => {
        this.#process.off("exit", ended)
        resolve(count)
      })
      this.#process.send(order)
    })
  }

  [Symbol.dispose](): void {
    this.#process.kill("SIGKILL")
  }
}
