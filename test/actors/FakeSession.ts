import { randomUUID } from "node:crypto"
import type { Room, SessionPort } from "../../src/actors/SessionPort.ts"
import { encodeFrame } from "../../src/protocol/FrameEncoder.ts"
import type { ErrorFrame, ServerFrame } from "../../src/protocol/Frames.ts"

/** A session whose socket is an array: what an actor sends, in order, and how it ends. */
export class FakeSession implements SessionPort {
  readonly id = randomUUID()
  readonly peer = "test"
  readonly terms = {
    limits: { max_frame: 1_048_576, max_in_flight: 256, max_in_flight_bytes: 4_194_304 },
    pingIntervalMs: 30_000,
    serverKey: "server-key"
  }
  readonly dialect: "v1" | "legacy"
  readonly sent: Array<ServerFrame> = []
  settled = { frames: 0, bytes: 0 }
  restricted = false
  /** Bytes of commands that were sent, and are set aside; beyond `holds` there is no room until `read`. */
  waiting = 0
  aside = 0
  /** Its socket is closing. */
  isGone = false
  holds = Number.POSITIVE_INFINITY
  #hungry: Array<() => void> = []
  ended: ErrorFrame | null | undefined

  constructor(dialect: "v1" | "legacy" = "v1") {
    this.dialect = dialect
  }

  seal(frame: ServerFrame, application?: string): string {
    return encodeFrame(frame, application)
  }

  send(frame: ServerFrame): string {
    this.sent.push(frame)
    return this.seal(frame)
  }

  sendSealed(text: string): void {
    this.waiting += text.length
    this.sent.push(JSON.parse(text) as ServerFrame)
  }

  get room(): Room {
    if (this.isGone) return "gone"
    return this.waiting + this.aside < this.holds ? "some" : "none"
  }

  whenRoom(then: () => void): void {
    this.#hungry.push(then)
  }

  setAside(bytes: number): void {
    this.aside += bytes
  }

  /** The peer has read all that was sent. How many waited for that. */
  read(): number {
    this.waiting = 0
    const hungry = this.#hungry
    this.#hungry = []
    for (const then of hungry) then()
    return hungry.length
  }

  settle(frames: number, bytes: number): void {
    this.settled = { frames: this.settled.frames + frames, bytes: this.settled.bytes + bytes }
  }

  restrict(): void {
    this.restricted = true
  }

  end(error: ErrorFrame | null): void {
    if (this.ended === undefined) this.ended = error
  }

  acks(): ReadonlyArray<number> {
    return this.sent.flatMap((frame) => (frame.type === "ack" ? [frame.seq] : []))
  }

  errors(): ReadonlyArray<string> {
    return this.sent.flatMap((frame) => (frame.type === "error" ? [`${frame.seq ?? ""}!${frame.code}`] : []))
  }

  find<T extends ServerFrame["type"]>(type: T): Extract<ServerFrame, { readonly type: T }> | undefined {
    return this.sent.find((frame): frame is Extract<ServerFrame, { readonly type: T }> => frame.type === type)
  }
}
