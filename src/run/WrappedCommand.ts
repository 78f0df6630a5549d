import { setTimeout as pause } from "node:timers/promises"
import type { JsonText } from "../client/JsonText.ts"
import { CommandProcess, type Exit, within } from "./CommandProcess.ts"
import type { EndFacts } from "./EndReport.ts"
import { forwardSignals } from "./ForwardedSignals.ts"
import { Passage } from "./Passage.ts"
import { PeakMemory } from "./PeakMemory.ts"
import { PipeReader } from "./PipeReader.ts"
import { close, type PrivateFolder } from "./PrivateFolder.ts"
import { StatusLines } from "./StatusLines.ts"

export interface WrappedCommandOptions {
  /** Not empty. */
  readonly command: ReadonlyArray<string>
  readonly environment: NodeJS.ProcessEnv
  /** null: it may take as long as it likes. Milliseconds. */
  readonly timeoutMs: number | null
  /** From being asked to end to being killed, milliseconds. */
  readonly graceMs: number
  /** It keeps the terminal. */
  readonly foreground: boolean
  /** Its stderr goes through the wrapper, which keeps the end of it. */
  readonly takesStderr: boolean
  /** Descriptors from 3 to 9 that the wrapper was given, and hands on. */
  readonly inherited: ReadonlyArray<number>
  /** With three pipes. */
  readonly folder: PrivateFolder
  readonly onStatus: (status: JsonText) => void
  readonly warn: (text: string) => void
}

/** The highest that every shell can write to. One number stays free for the shell that becomes the command. */
const LAST_DESCRIPTOR = 9

/** TRAILS_STATUS_FD: the lowest number that is free; null: there is none. */
const freeDescriptor = (taken: ReadonlyArray<number>): number | null => {
  for (let number = 3; number < LAST_DESCRIPTOR; number++) if (!taken.includes(number)) return number
  return null
}

/** A timer that is set longer rings at once. */
const LONGEST_MS = 2 ** 31 - 1

const once = (task: (text: string) => void): ((text: string) => void) => {
  let isDone = false
  return (text) => {
    if (!isDone) task(text)
    isDone = true
  }
}

/** A command with what is watched of it: its stderr, its status lines, its memory and its time. */
export class WrappedCommand {
  readonly pid: number
  /** Its end is its first process's exit: what others still hold open is not waited for. Never rejects. */
  readonly ended: Promise<EndFacts>
  readonly #process: CommandProcess
  readonly #passage: Passage | null
  readonly #lines: StatusLines
  readonly #statusReader: PipeReader
  readonly #memory: PeakMemory
  readonly #started = performance.now()
  #timer: NodeJS.Timeout | null = null
  #timedOutAfterMs: number | null = null
  #stopping: Promise<boolean> | null = null
  #remainingMs = (): number => Infinity
  #hasExited = false

  private constructor(process: CommandProcess, options: WrappedCommandOptions, stderr: number | null, status: number) {
    const { foreground, graceMs, onStatus, timeoutMs, warn } = options
    this.#process = process
    this.pid = process.pid
    this.#memory = new PeakMemory(process.pid)
    this.#passage = stderr === null ? null : new Passage(stderr)
    this.#lines = new StatusLines(
      onStatus,
      once((problem) => warn(`${problem}; it is left out, and so are others like it`))
    )
    this.#statusReader = new PipeReader(status, (chunk) => this.#lines.push(chunk))
    if (timeoutMs !== null) {
      this.#timer = setTimeout(() => {
        this.#timedOutAfterMs = timeoutMs
        void this.stop(within(graceMs))
      }, timeoutMs)
    }
    const stopForwarding = forwardSignals((name) => process.signal(name), foreground)
    this.ended = process.exited.then(async (exit) => {
      this.#hasExited = true
      const durationMs = performance.now() - this.#started
      stopForwarding()
      return await this.#end(exit, durationMs)
    })
  }

  /** Rejects when there is no process to be had. `environment` gets TRAILS_STATUS_FD besides. */
  static async start(options: WrappedCommandOptions): Promise<WrappedCommand> {
    const { command, environment, folder, foreground, inherited, takesStderr } = options
    const [stderr, status, guard] = await folder.pipes(["polling", "polling", "blocking"])
    const number = freeDescriptor(inherited)
    const descriptors = new Map(inherited.map((given) => [given, given]))
    if (number !== null) descriptors.set(number, status!.write)
    const process = await CommandProcess.start({
      command,
      environment: { ...environment, ...(number === null ? {} : { TRAILS_STATUS_FD: String(number) }) },
      foreground,
      stderr: takesStderr ? stderr!.write : null,
      descriptors,
      guard: guard!,
      folder: folder.path
    })
    close(stderr!.write)
    close(status!.write)
    if (!takesStderr) close(stderr!.read)
    return new WrappedCommand(process, options, takesStderr ? stderr!.read : null, status!.read)
  }

  /**
   * Asks it to end, and kills what is left of its group when no time remains. Resolves when it is gone. Whoever stops it, for
   * whatever reason, may shorten the time that others have given it. What it has left behind at an end of its own is nobody's,
   * and its process id may be a stranger's by then.
   */
  async stop(remainingMs: () => number): Promise<void> {
    const others = this.#remainingMs
    this.#remainingMs = () => Math.min(others(), remainingMs())
    if (this.#hasExited && this.#stopping === null) return
    this.#stopping ??= this.#process.terminate(() => this.#remainingMs())
    await this.#stopping
  }

  /** Of the time that whoever has stopped it has given it, milliseconds; Infinity: nobody has. */
  get remainingMs(): number {
    return this.#remainingMs()
  }

  /** Resolves when its stderr is through, to true; or to false when it is not after so many milliseconds. */
  async flush(withinMs: number): Promise<boolean> {
    if (this.#passage === null) return true
    const flushed = this.#passage.flush().then(() => true)
    if (withinMs === Infinity) return await flushed
    return await Promise.race([flushed, pause(Math.min(withinMs, LONGEST_MS), false, { ref: false })])
  }

  async #end(exit: Exit, durationMs: number): Promise<EndFacts> {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#memory.stop()
    // A group that was asked to end is waited for: its first process may be the first to go.
    const isForced = this.#stopping === null ? false : await this.#stopping
    this.#process.release()
    this.#statusReader.finish()
    this.#lines.finish()
    this.#passage?.finish()
    return {
      exit,
      durationMs,
      peakRssKib: this.#memory.kib,
      stderrTail: this.#passage?.tail ?? null,
      timedOutAfterMs: this.#timedOutAfterMs,
      forced: isForced,
      statusLinesIgnored: this.#lines.ignored
    }
  }
}
