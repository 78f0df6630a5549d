import { ClusterError } from "./ClusterError.ts"

/** What a process of the cluster must offer; `Trailsd`, `NatsServer` and `Postgres` do. */
export interface Controlled {
  readonly port: number
  /** Asked while it runs only. */
  readonly pid: number | undefined
  readonly isRunning: boolean
  readonly start: () => Promise<unknown>
  /** `kill -9`. */
  readonly kill: () => Promise<unknown>
  /** In order. */
  readonly stop: () => Promise<unknown>
  /** SIGSTOP of all of its processes, and SIGCONT. */
  readonly freeze: () => void
  readonly thaw: () => void
}

/** `up`, `paused` or `down`: of the process alone, whether it serves is another question. */
export type ProcessState = "up" | "paused" | "down"

/**
 * One process of the cluster by its name.
 * down → up (`restart`); up → paused (`pause`) → up (`resume`, or its time is over); up, paused → down (`kill`).
 */
export class Member {
  readonly name: string
  readonly #process: Controlled
  #frozen = false
  #timer: NodeJS.Timeout | undefined

  constructor(name: string, process: Controlled) {
    this.name = name
    this.#process = process
  }

  get port(): number {
    return this.#process.port
  }

  /** Null while it is down. */
  get pid(): number | null {
    return this.#process.isRunning ? (this.#process.pid ?? null) : null
  }

  get state(): ProcessState {
    return !this.#process.isRunning ? "down" : this.#frozen ? "paused" : "up"
  }

  async kill(): Promise<void> {
    if (this.state === "down") throw new ClusterError(`${this.name} is down already; restart ${this.name} starts it`)
    this.#forgetPause()
    await this.#process.kill()
  }

  /** For so many milliseconds, or until `resume`. */
  pause(milliseconds?: number): void {
    if (this.state !== "up") throw new ClusterError(`${this.name} is ${this.state}: only what is up can be paused`)
    this.#process.freeze()
    this.#frozen = true
    if (milliseconds !== undefined) this.#timer = setTimeout(() => this.resume(), milliseconds)
  }

  resume(): void {
    if (this.state !== "paused") throw new ClusterError(`${this.name} is ${this.state}: only what is paused can go on`)
    this.#forgetPause()
    this.#process.thaw()
  }

  /** Stops it in order if it runs, and starts it on its old port. Resolves when it serves. */
  async restart(): Promise<void> {
    await this.stop()
    await this.#process.start()
  }

  /** In order; what is paused goes on for it. */
  async stop(): Promise<void> {
    if (this.state === "paused") this.resume()
    if (this.state === "up") await this.#process.stop()
  }

  #forgetPause(): void {
    clearTimeout(this.#timer)
    this.#frozen = false
  }
}
