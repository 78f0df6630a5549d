import { type ChildProcess, spawn } from "node:child_process"
import { writeSync } from "node:fs"
import { constants } from "node:os"
import { setTimeout as pause } from "node:timers/promises"
import { close, type Pipe } from "./PrivateFolder.ts"

/** How a process ended; exactly one of the two is set. */
export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface CommandOptions {
  /** Not empty. */
  readonly command: ReadonlyArray<string>
  readonly environment: NodeJS.ProcessEnv
  /** In the wrapper's own session and process group, so that it keeps the terminal. */
  readonly foreground: boolean
  /** Descriptor for its stderr; null: the wrapper's own. */
  readonly stderr: number | null
  /** What it gets as descriptors from 3 on: its number there, and ours. */
  readonly descriptors: ReadonlyMap<number, number>
  /** Its writing end goes into the command's shell until that has become the command. */
  readonly guard: Pipe
  /** Removed by the watchdog at the end. */
  readonly folder: string
}

/** How often it is looked whether a group is empty, milliseconds. */
const LOOK_MS = 20
/** After SIGKILL: what nobody reaps may stay as a zombie for ever. */
const REAP_MS = 2000
const LAST_DESCRIPTOR = 9

/** How a shell tells the end of a process. */
export const exitCodeOf = ({ code, signal }: Exit): number => code ?? 128 + (constants.signals[signal!] ?? 0)

/** What is left of so many milliseconds from now. */
export const within = (milliseconds: number): (() => number) => {
  const until = performance.now() + milliseconds
  return () => until - performance.now()
}

/**
 * The wrapper's end, whatever its cause, ends this shell's reading; without the word before, the command's group is killed.
 * It is killed at once and not asked: nobody answers for it any more, the tree knows it as crashed, and something else may
 * be started in its place.
 */
const WATCHDOG = `trap '' HUP INT QUIT TERM
if read -r target; then read -r word || kill -s KILL -- "$target"; fi
rm -rf -- "$1"`

/**
 * The program that a run is about, in a session of its own.
 * - W1 whenever it runs, the watchdog knows its group: the shell that becomes the command tells it before that, and the
 *   watchdog reads the end of its pipe only when both the wrapper and that shell have closed it.
 * - W2 its group is its process id until the last of the group is gone, so that no signal meets a stranger.
 */
export class CommandProcess {
  readonly pid: number
  /** Never rejects. What it has left behind may still run. */
  readonly exited: Promise<Exit>
  readonly #child: ChildProcess
  readonly #foreground: boolean
  readonly #guard: number
  #exit: Exit | null = null

  private constructor(child: ChildProcess, pid: number, options: CommandOptions) {
    this.#child = child
    this.pid = pid
    this.#foreground = options.foreground
    this.#guard = options.guard.write
    this.exited = new Promise((resolve) => {
      // Not `close`: what it left behind may hold its stderr open for ever.
      child.once("exit", (code, signal) => {
        this.#exit = { code, signal }
        resolve(this.#exit)
      })
    })
  }

  /** Rejects when there is no process to be had. That its program can't be executed is an exit with 126 or 127. */
  static async start(options: CommandOptions): Promise<CommandProcess> {
    const { command, descriptors, environment, folder, foreground, guard, stderr } = options
    spawn("/bin/sh", ["-c", WATCHDOG, "trails-watchdog", folder], {
      cwd: "/",
      detached: true,
      env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin" },
      stdio: [guard.read, "ignore", "ignore"]
    })
      .once("error", () => {})
      .unref()
    close(guard.read)
    const given = new Map([...descriptors].filter(([number]) => number >= 3 && number <= LAST_DESCRIPTOR))
    let free = 3
    while (given.has(free)) free++
    given.set(free, guard.write)
    const stdio: Array<number | "inherit" | "ignore"> = ["inherit", "inherit", stderr ?? "inherit"]
    for (let number = 3; number <= Math.max(...given.keys()); number++) stdio.push(given.get(number) ?? "ignore")
    const target = foreground ? "$$" : "-$$"
    const child = spawn(
      "/bin/sh",
      ["-c", `echo "${target}" >&${free}; exec ${free}>&-; exec "$@"`, "trails run", ...command],
      { detached: !foreground, env: environment, stdio }
    )
    await new Promise((resolve, reject) => child.once("spawn", resolve).once("error", reject))
    return new CommandProcess(child, child.pid!, options)
  }

  /** What is under `pid` at the watchdog is nobody's any more. */
  release(): void {
    try {
      writeSync(this.#guard, "over\n")
    } catch {
      // Somebody has killed the watchdog.
    }
    close(this.#guard)
  }

  /** To its whole group, or in the foreground to itself: the terminal has told the others. */
  signal(name: NodeJS.Signals | 0): boolean {
    try {
      if (this.#foreground) return this.#exit === null && this.#child.kill(name)
      return process.kill(-this.pid, name)
    } catch {
      return false
    }
  }

  /**
   * Asks the group to end, and kills what is left of it when no time remains: `remainingMs` is asked again and again. Resolves
   * to whether it had to.
   */
  async terminate(remainingMs: () => number): Promise<boolean> {
    this.signal("SIGTERM")
    // A stopped process would hear of it only when it goes on.
    this.signal("SIGCONT")
    if (await this.#isGone(remainingMs)) return false
    this.signal("SIGKILL")
    await this.#isGone(within(REAP_MS))
    return true
  }

  async #isGone(remainingMs: () => number): Promise<boolean> {
    while (this.#exit === null || (!this.#foreground && this.signal(0))) {
      const rest = remainingMs()
      if (rest <= 0) return false
      await pause(Math.min(LOOK_MS, rest))
    }
    return true
  }
}
