import { type BusFaults, SOUND } from "../harness/LossyBus.ts"
import type { Passage } from "./Pipe.ts"

/** One operation of the NATS protocol, byte by byte. */
export interface NatsOperation {
  readonly bytes: Buffer
  /** It carries somebody's message; the others keep the connection. */
  readonly isMessage: boolean
}

const CRLF = "\r\n"
/** Operations with a payload, whose length is their last argument. */
const MESSAGES: ReadonlySet<string> = new Set(["PUB", "HPUB", "MSG", "HMSG"])
const OTHERS: ReadonlySet<string> = new Set(["INFO", "CONNECT", "SUB", "UNSUB", "PING", "PONG", "+OK", "-ERR"])

/**
 * Cuts the bytes of one direction of a connection into operations (docs.nats.io, client protocol). Throws where it is none:
 * one that is out of step would take payloads for operations.
 */
export class NatsReader {
  #chunks: Array<Buffer> = []
  #size = 0
  /** Bytes without which there is no further operation. */
  #needed = 1

  /** Operations that are complete with this. */
  read(chunk: Buffer): ReadonlyArray<NatsOperation> {
    this.#chunks.push(chunk)
    this.#size += chunk.length
    if (this.#size < this.#needed) return []
    const bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks)
    const operations: Array<NatsOperation> = []
    let from = 0
    for (;;) {
      const found = operationIn(bytes, from)
      if (typeof found === "number") {
        this.#needed = found
        break
      }
      operations.push(found)
      from += found.bytes.length
    }
    const rest = bytes.subarray(from)
    this.#chunks = rest.length === 0 ? [] : [rest]
    this.#size = rest.length
    return operations
  }
}

/** The operation that begins there; a number: how many bytes it takes at least to know one, more than there are. */
const operationIn = (bytes: Buffer, from: number): NatsOperation | number => {
  const lineEnd = bytes.indexOf(CRLF, from)
  if (lineEnd < 0) return bytes.length - from + 1
  const line = bytes.toString("latin1", from, lineEnd)
  const [name = "", ...args] = line.trim().split(/[ \t]+/)
  const operation = name.toUpperCase()
  const isMessage = MESSAGES.has(operation)
  const length = isMessage ? Number(args.at(-1)) : 0
  if ((!isMessage && !OTHERS.has(operation)) || !Number.isSafeInteger(length) || length < 0) {
    throw new Error(`not of the NATS protocol: ${JSON.stringify(line.slice(0, 80))}`)
  }
  const payloadEnd = lineEnd + CRLF.length + length
  const end = isMessage ? payloadEnd + CRLF.length : payloadEnd
  if (end > bytes.length) return end - from
  if (isMessage && bytes.toString("latin1", payloadEnd, end) !== CRLF) {
    throw new Error(`a payload without an end: ${JSON.stringify(line.slice(0, 80))}`)
  }
  return { bytes: bytes.subarray(from, end), isMessage }
}

/**
 * What happens to single messages on the ways to nats-servers, either way. The connections do not notice: whatever else they
 * say, PING and PONG first of all, passes at once and in order.
 */
export class NatsFaults {
  faults: BusFaults = SOUND
  lost = 0
  doubled = 0
  /** That were sent on before one that had come earlier. */
  overtook = 0
  readonly #random: () => number

  /** `random`: uniform in [0, 1). */
  constructor(random: () => number) {
    this.#random = random
  }

  /** For one direction of a connection; `forward` gets what passes. */
  readonly passage = (forward: (bytes: Buffer) => void): Passage => {
    const reader = new NatsReader()
    const timers = new Set<NodeJS.Timeout>()
    /** Numbers of the messages that are held up, the earliest first. */
    const late = new Set<number>()
    let count = 0
    return {
      take: (chunk) => {
        const passing: Array<Buffer> = []
        for (const { bytes, isMessage } of reader.read(chunk)) {
          if (!isMessage) {
            passing.push(bytes)
            continue
          }
          const number = count++
          for (const delayMs of this.#delays()) {
            if (delayMs === 0) {
              if (late.size > 0) this.overtook++
              passing.push(bytes)
              continue
            }
            late.add(number)
            const timer = setTimeout(() => {
              timers.delete(timer)
              const [earliest = number] = late
              if (earliest < number) this.overtook++
              late.delete(number)
              forward(bytes)
            }, delayMs)
            timers.add(timer)
          }
        }
        if (passing.length > 0) forward(passing.length === 1 ? passing[0]! : Buffer.concat(passing))
      },
      close: () => {
        for (const timer of timers) clearTimeout(timer)
        timers.clear()
      }
    }
  }

  /** How late each copy of the next message comes, milliseconds; none: it is lost. */
  #delays(): ReadonlyArray<number> {
    const { delayMs, double, lose } = this.faults
    if (lose > 0 && this.#random() < lose) {
      this.lost++
      return []
    }
    const late = () => (delayMs === 0 ? 0 : this.#random() * delayMs)
    if (double === 0 || this.#random() >= double) return [late()]
    this.doubled++
    return [late(), late()]
  }
}
