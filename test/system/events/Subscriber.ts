import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { join } from "node:path"
import type { Verdict } from "../../../src/events/index.ts"
import { leash } from "../../harness/Leash.ts"

export interface Seen {
  readonly id: string
  readonly appId: string
  readonly n: number
  readonly kind: string
  readonly framed: boolean
  readonly redelivered: boolean
  /** Its place in the stream. */
  readonly sequence: number
  readonly verdict: Verdict
}

interface Options {
  readonly nats: string
  readonly name: string
  readonly subtree: ReadonlyArray<string>
  readonly serverKey: string
}

/** `subscriberProgram.ts` as a process that is killed and started again; what it has printed is kept. */
export class Subscriber {
  readonly seen: Array<Seen> = []
  said = ""
  readonly #options: Options
  #process: ChildProcess | null = null
  #exited: Promise<void> = Promise.resolve()

  constructor(options: Options) {
    this.#options = options
  }

  start(): void {
    const { name, nats, serverKey, subtree } = this.#options
    const child = spawn(process.execPath, [join(import.meta.dirname, "subscriberProgram.ts")], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env["PATH"], NATS: nats, NAME: name, SUBTREE: subtree.join(), SERVER_KEY: serverKey }
    })
    this.#process = child
    const unleash = child.pid === undefined ? () => {} : leash(child.pid)
    createInterface({ input: child.stdout }).on("line", (line) => {
      // The line of one that was killed may be half.
      if (line.endsWith("}}")) this.seen.push(JSON.parse(line) as Seen)
    })
    child.stderr.on("data", (chunk: Buffer) => (this.said += chunk.toString()))
    this.#exited = new Promise((resolve) =>
      child.once("exit", () => {
        unleash()
        resolve()
      })
    )
  }

  /** `kill -9` */
  async kill(): Promise<void> {
    this.#process?.kill("SIGKILL")
    await this.#exited
    this.#process = null
  }
}
