import type { WriteStream } from "node:tty"

const HIDE = "\x1b[?25l"
const SHOW = "\x1b[?25h"
const CLEAR_LINE = "\x1b[K"
const CLEAR_BELOW = "\x1b[J"
/** Of a terminal that does not know its size: a new pseudo terminal has 0 by 0. */
const COLUMNS = 80
const ROWS = 24
const CLEAR_ALL = "\x1b[2J\x1b[H"

/** Lines of a terminal that are drawn again in place. Without `stop` the cursor stays hidden. */
export class LiveScreen {
  readonly #out: WriteStream
  readonly #onResize: () => void
  #drawn = 0
  #width: number

  /** `redraw` is called when the terminal gets another size. */
  constructor(out: WriteStream, redraw: () => void) {
    this.#out = out
    this.#width = out.columns
    this.#onResize = () => redraw()
    out.on("resize", this.#onResize)
    out.write(HIDE)
  }

  get width(): number {
    return this.#out.columns || COLUMNS
  }

  /** Lines must be no longer than `width`. What is too much for the height is left out, and counted. */
  draw(lines: ReadonlyArray<string>): void {
    const room = Math.max(1, (this.#out.rows || ROWS) - 1)
    const missing = lines.length - room + 1
    const shown = lines.length <= room ? lines : [...lines.slice(0, room - 1), `… ${missing} lines more`]
    // In another width the terminal has wrapped what stood there: nobody knows how many lines it is now.
    const back = this.#width !== this.#out.columns ? CLEAR_ALL : this.#drawn > 0 ? `\x1b[${this.#drawn}A\r` : ""
    this.#width = this.#out.columns
    this.#drawn = shown.length
    this.#out.write(`${back}${shown.map((line) => `${line}${CLEAR_LINE}\n`).join("")}${CLEAR_BELOW}`)
  }

  stop(): void {
    this.#out.off("resize", this.#onResize)
    this.#out.write(SHOW)
  }
}
