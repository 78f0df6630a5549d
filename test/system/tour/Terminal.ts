import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { leash } from "../../harness/Leash.ts"
import { waitUntil } from "../../harness/waitUntil.ts"

const PROMPT = "$"
const COLUMNS = 100
const LINES = 80
/** For a key to be shown, milliseconds. */
const ECHO_MS = 10_000

/** Throws with what to install. */
export const findTmux = (): string => {
  try {
    return execFileSync("tmux", ["-V"], { encoding: "utf8" }).trim()
  } catch (cause) {
    throw new Error("The README's tour is run in tmux, which is not here. On Debian: apt-get install tmux", { cause })
  }
}

/** Terminals with a shell each, in a tmux of their own. */
export class Terminals {
  readonly #folder: string
  readonly #env: Readonly<Record<string, string>>
  #unleash = () => {}

  /** `folder`: for the socket. `env` is all that the shells have. */
  constructor(folder: string, env: Readonly<Record<string, string>>) {
    findTmux()
    this.#folder = folder
    this.#env = { ...env, LC_ALL: "C.UTF-8", TERM: "xterm" }
  }

  /** A shell in `cwd`. */
  async open(name: string, cwd: string): Promise<Terminal> {
    const size = ["-x", String(COLUMNS), "-y", String(LINES)]
    this.tmux(
      "new-session",
      "-d",
      "-s",
      name,
      ...size,
      "-c",
      cwd,
      `exec env PS1='${PROMPT} ' PS2='> ' bash --noprofile --norc`
    )
    this.#unleash()
    this.#unleash = leash(Number(this.tmux("display-message", "-p", "#{pid}")))
    const terminal = new Terminal(this, name)
    await terminal.idle(ECHO_MS)
    return terminal
  }

  tmux(...args: ReadonlyArray<string>): string {
    const options = ["-u", "-f", "/dev/null", "-S", join(this.#folder, "tmux")]
    return execFileSync("tmux", [...options, ...args], { encoding: "utf8", env: this.#env, timeout: ECHO_MS })
  }

  close(): void {
    try {
      this.tmux("kill-server")
    } catch {
      // No terminal was opened, or the last has gone.
    }
    this.#unleash()
  }
}

/** What a person sees and types. */
export class Terminal {
  readonly #terminals: Terminals
  readonly #name: string

  constructor(terminals: Terminals, name: string) {
    this.#terminals = terminals
    this.#name = name
  }

  /** Lines that are shown, those joined that the terminal has wrapped. */
  get screen(): ReadonlyArray<string> {
    const text = this.#terminals.tmux("capture-pane", "-p", "-J", "-t", this.#name)
    return text
      .trimEnd()
      .split("\n")
      .map((line) => line.trimEnd())
  }

  press(key: string): void {
    this.#terminals.tmux("send-keys", "-t", this.#name, key)
  }

  /** Resolves when the shell waits for a command. */
  async idle(withinMs: number): Promise<void> {
    await this.#until("the shell's prompt is back", withinMs, (lines) => lines.at(-1) === PROMPT)
  }

  /** Types a command on an empty screen. */
  async type(command: ReadonlyArray<string>): Promise<void> {
    this.press("C-l")
    await this.#until("the screen is empty", ECHO_MS, ([line, ...others]) => line === PROMPT && others.length === 0)
    for (const [index, line] of command.entries()) {
      if (index > 0) await this.#until("the shell asks for more", ECHO_MS, (lines) => lines.at(-1) === ">")
      this.#terminals.tmux("send-keys", "-t", this.#name, "-l", "--", line)
      this.press("Enter")
    }
    const [first] = command
    await this.#until("the command is shown", ECHO_MS, ([line]) => line === `${PROMPT} ${first}`.trimEnd())
  }

  /** What a typed command of so many lines has printed, as soon as `isComplete`, or the shell has its prompt back. */
  async output(
    commandLines: number,
    withinMs: number,
    isComplete: (lines: ReadonlyArray<string>) => boolean = () => false
  ): Promise<ReadonlyArray<string>> {
    const lines = await this.#until(
      "the command has ended",
      withinMs,
      (shown) => shown.at(-1) === PROMPT || isComplete(shown)
    )
    return lines.slice(commandLines, lines.at(-1) === PROMPT ? -1 : undefined)
  }

  async #until(
    reason: string,
    withinMs: number,
    isSo: (lines: ReadonlyArray<string>) => boolean
  ): Promise<ReadonlyArray<string>> {
    let shown: ReadonlyArray<string> = []
    try {
      return await waitUntil(reason, () => isSo((shown = this.screen)) && shown, { withinMs, everyMs: 40 })
    } catch (cause) {
      throw new Error(`${(cause as Error).message}; terminal ${this.#name} shows:\n${shown.join("\n")}`, { cause })
    }
  }
}
