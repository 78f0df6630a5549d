import { JsonText } from "../client/JsonText.ts"

/** Of one line, bytes: more than the largest frame that a server can be set to. */
const LINE = 16 * 1024 * 1024
const LINE_FEED = 10

/** Cuts what arrives on TRAILS_STATUS_FD into lines; each is one JSON value. */
export class StatusLines {
  readonly #onStatus: (status: JsonText) => void
  readonly #onProblem: (problem: string) => void
  #chunks: Array<Buffer> = []
  #size = 0
  #line = 1
  /** Lines that were no JSON, or too long. */
  ignored = 0

  constructor(onStatus: (status: JsonText) => void, onProblem: (problem: string) => void) {
    this.#onStatus = onStatus
    this.#onProblem = onProblem
  }

  push(chunk: Buffer): void {
    let from = 0
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, from)) {
      this.#add(chunk.subarray(from, end))
      this.#take()
      from = end + 1
    }
    this.#add(chunk.subarray(from))
  }

  /** The last line may lack its line feed. */
  finish(): void {
    if (this.#size > 0) this.#take()
  }

  #add(part: Buffer): void {
    this.#size += part.length
    // Too long already: only its length goes on being counted.
    if (this.#size <= LINE) this.#chunks.push(part)
    else this.#chunks = []
  }

  #take(): void {
    const isTooLong = this.#size > LINE
    const text = Buffer.concat(this.#chunks).toString("utf8")
    this.#chunks = []
    this.#size = 0
    const line = this.#line++
    if (!isTooLong && text.trim() === "") return
    const status = isTooLong ? null : JsonText.parse(text)
    if (status !== null) return this.#onStatus(status)
    this.ignored++
    this.#onProblem(`line ${line} on TRAILS_STATUS_FD is ${isTooLong ? `longer than ${LINE} bytes` : "not JSON"}`)
  }
}
