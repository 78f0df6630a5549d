import { close, createWriteStream, open, write, type WriteStream } from "node:fs"
import { PipeReader } from "./PipeReader.ts"
import { StderrTail } from "./StderrTail.ts"

const STDERR = 2
/** Before stderr is tried again that had no room, milliseconds. */
const AGAIN_MS = 2

/**
 * `fs.write`, but one that waits for room: whoever shares stderr can make it non-blocking for all (Node itself does, once
 * `process.stderr` is used), and a full pipe is no reason to take the command's stderr away.
 */
const patientWrite = (
  descriptor: number,
  data: Buffer,
  offset: number,
  length: number,
  position: number | null,
  done: (error: NodeJS.ErrnoException | null, written: number, data: Buffer) => void
): void =>
  write(descriptor, data, offset, length, position, (error, written) => {
    if (error?.code !== "EAGAIN") return done(error, written, data)
    setTimeout(patientWrite, AGAIN_MS, descriptor, data, offset, length, position, done)
  })

/**
 * The command's stderr on its way to the wrapper's. When that is not read, the command is held up as it would be without a
 * wrapper; the wrapper itself is not, so that its node stays alive.
 */
export class Passage {
  readonly #tail = new StderrTail()
  readonly #reader: PipeReader
  readonly #out: WriteStream

  /** `descriptor`: the reading end of the pipe, not blocking. */
  constructor(descriptor: number) {
    this.#out = createWriteStream("", {
      fd: STDERR,
      autoClose: false,
      fs: { open, close, write: patientWrite as typeof write }
    })
    this.#reader = new PipeReader(descriptor, (chunk) => {
      this.#tail.push(chunk)
      if (this.#out.writable && !this.#out.write(chunk)) this.#reader.pause()
    })
    this.#out.on("drain", () => this.#reader.resume())
    // Nobody reads it any more: the command learns it as it would without a wrapper.
    this.#out.on("error", () => this.#reader.stop())
  }

  /** See StderrTail.ts. */
  get tail(): string | null {
    return this.#tail.text
  }

  /** The command has ended: what it has written is taken over. */
  finish(): void {
    this.#reader.finish()
  }

  /** Resolves when everything is through, or can't get through. */
  flush(): Promise<void> {
    return new Promise((resolve) => {
      this.#out.once("error", () => resolve())
      this.#out.once("close", () => resolve())
      this.#out.end(resolve)
      if (this.#out.destroyed) resolve()
    })
  }
}
