import type { Socket } from "node:net"

/** Milliseconds after which a lost segment comes again, doubled at each further loss: what TCP's least time-out is. */
const RETRANSMIT_MS = 200

/** What a bad way does to what passes it. */
export interface Weather {
  /** Milliseconds that everything takes longer. */
  delayMs: number
  /** Of all pieces, between 0 and 1: these are lost once or more often, and come late, with all behind them. */
  lossRate: number
}

/** Stands in a way and sends on what it lets pass. */
export interface Passage {
  readonly take: (chunk: Buffer) => void
  /** Forgets what it holds. */
  readonly close: () => void
}

export type MakePassage = (forward: (bytes: Buffer) => void) => Passage

const open: MakePassage = (forward) => ({ take: forward, close: () => {} })

/**
 * One direction of a TCP connection: bytes keep their order and are never lost for good, as TCP promises; they only come
 * late, or not before `resume`. While it is held up nothing is read: the sender's own window fills, and its end is not
 * heard of either.
 */
export class Pipe {
  readonly #from: Socket
  readonly #to: Socket
  readonly #weather: Weather
  readonly #random: () => number
  readonly #passage: Passage
  readonly #queue: Array<{ readonly at: number; readonly chunk: Buffer | null }> = []
  #timer: NodeJS.Timeout | null = null
  #held = false
  #full = false

  constructor(from: Socket, to: Socket, weather: Weather, random: () => number, passage: MakePassage = open) {
    this.#from = from
    this.#to = to
    this.#weather = weather
    this.#random = random
    this.#passage = passage((bytes) => this.#take(bytes))
    from.on("data", (chunk: Buffer) => this.#passage.take(chunk))
    from.on("end", () => {
      this.#passage.close()
      this.#take(null)
    })
    to.on("drain", () => {
      this.#full = false
      this.#flow()
    })
    this.#flow()
  }

  hold(): void {
    this.#held = true
    this.#flow()
  }

  resume(): void {
    this.#held = false
    this.#flow()
    this.#deliver()
  }

  /** Forgets what is under way. */
  close(): void {
    this.#passage.close()
    this.#queue.length = 0
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  #flow(): void {
    if (this.#held || this.#full) this.#from.pause()
    else this.#from.resume()
  }

  #take(chunk: Buffer | null): void {
    const now = performance.now()
    let late = this.#weather.delayMs
    for (let again = RETRANSMIT_MS; this.#random() < this.#weather.lossRate; again *= 2) late += again
    this.#queue.push({ at: Math.max(now + late, this.#queue.at(-1)?.at ?? 0), chunk })
    this.#deliver()
  }

  #deliver(): void {
    if (this.#timer !== null || this.#held) return
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const wait = next.at - performance.now()
      if (wait > 0) {
        this.#timer = setTimeout(() => {
          this.#timer = null
          this.#deliver()
        }, wait)
        return
      }
      this.#queue.shift()
      if (next.chunk === null) return void this.#to.end()
      if (!this.#to.write(next.chunk)) {
        this.#full = true
        this.#flow()
      }
    }
  }
}
