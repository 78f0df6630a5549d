import { randomBytes, randomUUID } from "node:crypto"
import type {
  ControlFrame,
  ErrorCode,
  ErrorFrame,
  Level,
  MsgType,
  ProcessInfo,
  RegisteredFrame,
  ServerFrame
} from "../../src/protocol/Frames.ts"
import { type Keypair, makeKeypair, seal, unsealed } from "./Keypair.ts"
import type { FrameBook, Ledger, LedgerEntry } from "./Ledger.ts"
import { startDayOf, type TestEnvelope } from "./TestEnvelope.ts"
import type { Received, Wire } from "./Wire.ts"

/** The server said no. */
export class Refused extends Error {
  readonly frame: ErrorFrame
  constructor(frame: ErrorFrame) {
    super(`${frame.code}: ${frame.message}`)
    this.frame = frame
  }
  get code(): ErrorCode {
    return this.frame.code
  }
}

export interface RawNodeOptions {
  readonly keys?: Keypair
  /** Text of the pinned server key; needed above `open`. */
  readonly serverKey?: string | null
  readonly processInfo?: Partial<ProcessInfo>
  readonly capabilities?: ReadonlyArray<string>
  readonly pingIntervalMs?: number
  readonly roleRefs?: ReadonlyArray<string>
  /** Gets every data frame; `entries` stays empty then. */
  readonly book?: FrameBook
  /** Answers a control command; null leaves it unanswered. Default: `unknown_action`. */
  readonly onControl?: (control: ControlFrame) => { readonly result: unknown } | { readonly error: string } | null
}

const PROCESS: ProcessInfo = {
  pid: process.pid,
  ppid: process.ppid,
  uid: 1000,
  gid: 1000,
  hostname: "test",
  start_time: 1,
  executable: "/bin/test"
}

/**
 * A version 1 client for one node, as small as the protocol allows: every frame is built by hand, and every answer is
 * checked the way PROTOCOL §3 and §4 tell a client to. It keeps unacked frames and sends them again after a
 * re-registration.
 */
export class RawNode implements Ledger {
  readonly appId: string
  readonly envelope: TestEnvelope
  readonly level: Level
  readonly keys: Keypair
  readonly entries: Array<LedgerEntry> = []
  readonly errors: Array<ErrorFrame> = []
  readonly controls: Array<ControlFrame> = []
  registered: RegisteredFrame | null = null
  wire: Wire | null = null
  seq = 0
  /** Data frames that it has made. */
  sent = 0
  /** Called for every server frame of this node, after it was dealt with. */
  onFrame: (frame: ServerFrame) => void = () => {}
  /** The server has ended this node's session alone; the socket stays for others. */
  onSessionEnd: (error: ErrorFrame) => void = () => {}
  readonly #unacked = new Map<number, LedgerEntry>()
  readonly #options: RawNodeOptions
  #resend: NodeJS.Timeout | null = null

  constructor(envelope: TestEnvelope, options: RawNodeOptions = {}) {
    this.envelope = envelope
    this.appId = envelope.appId
    this.level = envelope.level
    this.keys = options.keys ?? makeKeypair()
    this.#options = options
  }

  get incarnation(): number {
    return this.registered?.incarnation ?? 0
  }

  /** Sent and neither acked nor refused. */
  get inFlight(): number {
    return this.#unacked.size
  }

  get oldestUnacked(): number | null {
    return this.#unacked.keys().next().value ?? null
  }

  get isAttached(): boolean {
    return this.wire !== null && this.wire.isOpen
  }

  /** First registration, or a new incarnation. */
  async register(wire: Wire, changes: Readonly<Record<string, unknown>> = {}): Promise<RegisteredFrame> {
    const clientNonce = randomBytes(32).toString("base64")
    return await this.#attach(
      wire,
      clientNonce,
      {
        type: "register",
        nonce: wire.hello?.nonce,
        client_nonce: clientNonce,
        server_key: this.#options.serverKey ?? wire.hello?.server_pub_key,
        app_id: this.appId,
        parent_id: this.envelope.parentId,
        app_name: this.envelope.appName,
        child_pub_key: this.keys.text,
        process_info: { ...PROCESS, ...this.#options.processInfo },
        role_refs: this.#options.roleRefs ?? [],
        start_day: startDayOf(this.envelope.scheduledAt),
        info: this.envelope.info,
        ...(this.#options.capabilities === undefined ? {} : { capabilities: this.#options.capabilities }),
        ...(this.#options.pingIntervalMs === undefined ? {} : { ping_interval_ms: this.#options.pingIntervalMs }),
        ...changes
      },
      () => {
        this.#unacked.clear()
        this.seq = 0
      }
    )
  }

  /** Comes back with the bound key and sends again what was not acked. */
  async reRegister(wire: Wire, changes: Readonly<Record<string, unknown>> = {}): Promise<RegisteredFrame> {
    const clientNonce = randomBytes(32).toString("base64")
    return await this.#attach(
      wire,
      clientNonce,
      {
        type: "re_register",
        nonce: wire.hello?.nonce,
        client_nonce: clientNonce,
        server_key: this.#options.serverKey ?? wire.hello?.server_pub_key,
        app_id: this.appId,
        incarnation: this.incarnation,
        last_seq: this.seq,
        pub_key: this.keys.text,
        ...changes
      },
      (frame) => {
        this.#settle(frame.last_seq)
        this.#sendAgain()
      }
    )
  }

  /** Sends a message and returns its seq. Without a socket it waits for the next re-registration. */
  message(msgType: MsgType, payload: unknown, correlationId: string | null = null): number {
    return this.#data(msgType, (seq) => ({
      type: "message",
      app_id: this.appId,
      incarnation: this.incarnation,
      start_day: startDayOf(this.envelope.scheduledAt),
      header: { msg_type: msgType, timestamp: Date.now(), seq, correlation_id: correlationId },
      payload
    }))
  }

  status(payload: unknown): number {
    return this.message("Status", payload)
  }

  result(payload: unknown): number {
    return this.message("Result", payload, randomUUID())
  }

  error(payload: unknown): number {
    return this.message("Error", payload, randomUUID())
  }

  disconnect(reason: string): number {
    return this.#data("disconnect", (seq) => ({
      type: "disconnect",
      app_id: this.appId,
      incarnation: this.incarnation,
      seq,
      reason
    }))
  }

  /** To a command that `onControl` has left unanswered; without a socket it is dropped. */
  answer(control: ControlFrame, answer: { readonly result: unknown } | { readonly error: string }): void {
    if (!this.isAttached) return
    this.wire!.send(
      this.sealed({
        type: "control_result",
        app_id: this.appId,
        incarnation: this.incarnation,
        correlation_id: control.correlation_id,
        ...("result" in answer ? { ack: true, result: answer.result } : { ack: false, error: answer.error })
      })
    )
  }

  isAcked(seq: number): boolean {
    return this.entries.some((entry) => entry.seq === seq && entry.incarnation === this.incarnation && entry.acked)
  }

  /** The server will not have this node back: what became of its unacked frames stays unknown. */
  abandon(): void {
    this.#unacked.clear()
  }

  /** Any frame as this node would seal it. */
  sealed(frame: object): string {
    const message = JSON.stringify(frame)
    return this.level === "open" ? unsealed(message) : seal("trails.v1.child", message, this.keys.secretKey)
  }

  #data(kind: LedgerEntry["kind"], build: (seq: number) => object): number {
    const seq = ++this.seq
    const entry: LedgerEntry = {
      incarnation: this.incarnation,
      seq,
      kind,
      text: this.sealed(build(seq)),
      acked: false,
      refused: null
    }
    this.sent++
    if (this.#options.book === undefined) this.entries.push(entry)
    else this.#options.book.sent(entry)
    this.#unacked.set(seq, entry)
    if (this.isAttached) this.wire!.send(entry.text)
    return seq
  }

  /** `accepted` runs in the turn that received the answer: nothing can be sent in between. */
  #attach(
    wire: Wire,
    clientNonce: string,
    request: object,
    accepted: (frame: RegisteredFrame) => void
  ): Promise<RegisteredFrame> {
    return new Promise((resolve, reject) => {
      const forget = wire.onClose(() => reject(new Error("the socket closed before the registration was answered")))
      wire.listen(this.appId, (received) => {
        if (received.frame.type === "registered") {
          forget()
          const problem = this.#distrust(received, wire, clientNonce)
          if (problem !== null) return reject(new Error(problem))
          this.registered = received.frame
          this.wire = wire
          wire.listen(this.appId, (next) => this.#receive(next))
          accepted(received.frame)
          resolve(received.frame)
        } else if (received.frame.type === "error") {
          forget()
          // A node that has ended is told up to where it was stored.
          if (received.frame.code === "terminal" && received.frame.seq !== undefined) this.#settle(received.frame.seq)
          wire.listen(this.appId, null)
          reject(new Refused(received.frame))
        }
      })
      wire.send(this.sealed(request))
    })
  }

  /** Mutual authentication (PROTOCOL §4): what is wrong with this `registered`, or null. */
  #distrust({ frame, signed }: Received, wire: Wire, clientNonce: string): string | null {
    if (frame.type !== "registered") return "not a registered frame"
    if (frame.nonce !== wire.hello?.nonce || frame.client_nonce !== clientNonce) return "the nonces are not ours"
    if (this.level !== "open" && !signed) return "registered is not signed"
    return null
  }

  #receive(received: Received): void {
    const { frame } = received
    if (frame.type === "ack") {
      if (this.level !== "open" && !received.signed) throw new Error("an unsigned ack for a signed node")
      if (frame.incarnation === this.incarnation) this.#settle(frame.seq)
    } else if (frame.type === "control") {
      this.controls.push(frame)
      this.#answer(frame)
    } else if (frame.type === "error") {
      this.errors.push(frame)
      if (frame.seq !== undefined) this.#refused(frame, frame.seq)
      else if (frame.code === "not_registered") this.#refuseAll(frame.code)
      else if (frame.code === "replaced" || frame.code === "unavailable") {
        this.wire = null
        this.onSessionEnd(frame)
      }
    }
    this.onFrame(frame)
  }

  #settle(upTo: number): void {
    for (const [seq, entry] of this.#unacked) {
      if (seq > upTo) break
      entry.acked = true
      this.#unacked.delete(seq)
      this.#options.book?.settled(entry)
    }
  }

  /** Without a session no seq is named (docs/protocol.md): nothing that was sent on this socket is taken. */
  #refuseAll(code: ErrorFrame["code"]): void {
    for (const entry of this.#unacked.values()) {
      entry.refused = code
      this.#options.book?.settled(entry)
    }
    this.#unacked.clear()
  }

  #refused(frame: ErrorFrame, seq: number): void {
    const entry = this.#unacked.get(seq)
    if (entry === undefined) return
    if (!frame.retryable) {
      entry.refused = frame.code
      this.#unacked.delete(seq)
      this.#options.book?.settled(entry)
      return
    }
    // Every later seq is refused too until this one has come again: one timer for all of them.
    if (this.#resend !== null) return
    this.#resend = setTimeout(() => {
      this.#resend = null
      this.#sendAgain()
    }, frame.retry_after_ms ?? 100)
  }

  #sendAgain(): void {
    if (!this.isAttached) return
    for (const entry of this.#unacked.values()) this.wire!.send(entry.text)
  }

  #answer(control: ControlFrame): void {
    const answer =
      this.#options.onControl === undefined ? { error: "unknown_action" } : this.#options.onControl(control)
    if (answer !== null) this.answer(control, answer)
  }
}
