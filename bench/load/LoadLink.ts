import { randomBytes } from "node:crypto"
import { setTimeout as delay } from "node:timers/promises"
import { WebSocket } from "ws"
import { type PublicKey, verifySync } from "../../src/actors/Ed25519.ts"
import type { ControlFrame, ErrorFrame, HelloFrame, RegisteredFrame, ServerFrame } from "../../src/protocol/Frames.ts"
import { decodeServerFrame } from "../../src/protocol/ServerFrameDecoder.ts"
import { splitSigned, TAGS } from "../../src/protocol/SignedFrame.ts"
import { Backoff } from "../../src/client/Backoff.ts"
import type { Gate } from "./Gate.ts"
import { reasonOf } from "./LoadError.ts"
import type { LoadNode } from "./LoadNode.ts"
import type { Tally } from "./Tally.ts"

/** What all links of a process share. */
export interface LinkContext {
  readonly urls: ReadonlyArray<string>
  readonly legacy: boolean
  /** Null in `open`. */
  readonly serverKey: PublicKey | null
  readonly tally: Tally
  /** Held while a socket connects and its nodes register. */
  readonly gate: Gate
  /** Whether one more message may go out now; a yes is used up. */
  readonly mayWrite: () => boolean
}

/** For the upgrade and `hello`. */
const HANDSHAKE_MS = 30_000
/** The server's own default, until `registered` says another. */
const PING_MS = 30_000
/** A frame that is refused as retryable comes again after this, unless the server names another time. */
const RESEND_MS = 100
/** After `going_away` the server closes; if it does not, we do. */
const LEAVE_MS = 1000
/** What a message is larger than its payload, at the most. */
const OVERHEAD = 512

type Answer = RegisteredFrame | ErrorFrame

/**
 * One socket after the other for the same nodes. A lost one is followed by the next URL's, with growing pauses; there the
 * nodes come back with `re_register` and send again, in order, what was not acked (PROTOCOL §6; docs/protocol.md §15).
 */
export class LoadLink {
  readonly nodes: ReadonlyArray<LoadNode>
  readonly #context: LinkContext
  readonly #byId: ReadonlyMap<string, LoadNode>
  readonly #backoff = new Backoff(Math.random)
  #url: number
  #socket: WebSocket | null = null
  #hello: HelloFrame | null = null
  #onHello: (hello: HelloFrame) => void = () => {}
  /** Nodes with a session on this socket. */
  readonly #joined = new Set<LoadNode>()
  readonly #answers = new Map<LoadNode, (answer: Answer) => void>()
  /** Nodes that wait before they send again. */
  readonly #resends = new Map<LoadNode, NodeJS.Timeout>()
  #wasAttached = false
  #isLeaving = false
  #isAway = false
  #retryAfterMs = 0
  #pingMs = PING_MS
  #heardAt = 0

  constructor(nodes: ReadonlyArray<LoadNode>, firstUrl: number, context: LinkContext) {
    this.nodes = nodes
    this.#url = firstUrl
    this.#context = context
    this.#byId = new Map(nodes.map((node) => [node.birth.appId, node]))
  }

  get isConnected(): boolean {
    return this.#socket !== null
  }

  /** Keeps the nodes attached until `leave`, or until all are refused. */
  async run(): Promise<void> {
    const { gate, tally, urls } = this.#context
    while (!this.#isOver) {
      await gate.enter()
      const attached = await this.#attach().finally(() => gate.leave())
      if (attached !== null) {
        if (this.#wasAttached) tally.reconnects++
        this.#wasAttached = true
        this.#backoff.reset()
        if (this.#isOver) this.#socket?.close(1000)
        await attached.closed
      }
      this.#detach()
      if (this.#isOver) return
      this.#url = (this.#url + 1) % urls.length
      const elsewhere = this.#isAway && urls.length > 1
      const pause = elsewhere ? 0 : this.#backoff.next(this.#retryAfterMs)
      this.#isAway = false
      this.#retryAfterMs = 0
      await delay(pause)
    }
  }

  /** Sends what the node may send now. */
  fill(node: LoadNode): void {
    if (!this.#joined.has(node) || this.#resends.has(node)) return
    while (node.hasRoom && this.#context.mayWrite()) this.#socket!.send(node.next())
  }

  /** Cuts a socket whose server is silent beyond two pings (PROTOCOL §7): it can't be told from a dead one. */
  cutIfSilent(now: number): void {
    if (this.#socket === null || this.#pingMs === 0 || now - this.#heardAt <= 2 * this.#pingMs + 1000) return
    this.#context.tally.note("a server was silent for two ping intervals")
    this.#socket.terminate()
  }

  /** Ends the nodes as done, without coming back. */
  leave(): void {
    this.#isLeaving = true
    for (const node of this.#joined) if (!node.isRefused) this.#socket!.send(node.bye())
    if (this.#context.legacy) this.#socket?.close(1000)
  }

  close(): void {
    this.#isLeaving = true
    this.#socket?.close(1000)
  }

  get #isOver(): boolean {
    return this.#isLeaving || this.nodes.every((node) => node.isRefused)
  }

  /** A socket on which every node is attached or refused; null when it was lost before. */
  async #attach(): Promise<{ readonly closed: Promise<void> } | null> {
    const { legacy, tally, urls } = this.#context
    const url = urls[this.#url]!
    const socket = new WebSocket(url, legacy ? [] : ["trails.v1"], {
      perMessageDeflate: false,
      handshakeTimeout: HANDSHAKE_MS
    })
    this.#socket = socket
    this.#heardAt = performance.now()
    this.#pingMs = PING_MS
    let reason: string | null = null
    const closed = new Promise<void>((resolve) => {
      socket.on("error", (error) => {
        reason ??= reasonOf(error)
        socket.terminate()
      })
      socket.on("close", (code, text) => {
        const why = reason ?? `closed with ${[code, text.toString()].join(" ").trim()}`
        if (!this.#isOver) tally.note(`${url}: ${why}`)
        resolve()
      })
    })
    const opened = new Promise<void>((resolve) => socket.once("open", resolve))
    const greeted = legacy
      ? opened
      : new Promise<void>((resolve) => {
          this.#onHello = (hello) => {
            this.#hello = hello
            resolve()
          }
        })
    socket.on("ping", () => {
      this.#heardAt = performance.now()
    })
    socket.on("message", (data: Buffer) => this.#receive(data.toString()))
    const late = setTimeout(() => socket.terminate(), HANDSHAKE_MS)
    await Promise.race([closed, greeted])
    clearTimeout(late)
    if (socket.readyState === WebSocket.OPEN) {
      const waiting = this.nodes.filter((node) => !node.isRefused)
      await Promise.race([closed, Promise.all(waiting.map((node) => this.#register(node, socket)))])
    }
    // An answer that is not to be believed has cut the socket, and that is not over yet.
    if (socket.readyState === WebSocket.OPEN) return { closed }
    await closed
    return null
  }

  #detach(): void {
    this.#socket = null
    this.#hello = null
    this.#joined.clear()
    this.#answers.clear()
    for (const timer of this.#resends.values()) clearTimeout(timer)
    this.#resends.clear()
  }

  /** Until the node has a session on this socket, or is refused for good; for ever when the socket is lost. */
  async #register(node: LoadNode, socket: WebSocket): Promise<void> {
    while (this.#socket === socket) {
      const clientNonce = randomBytes(32).toString("base64")
      const answered = new Promise<Answer>((resolve) => this.#answers.set(node, resolve))
      const serverKey = this.#context.serverKey?.text ?? this.#hello?.server_pub_key ?? null
      socket.send(node.registration(this.#hello?.nonce, clientNonce, serverKey))
      const answer = await answered
      if (answer.type === "registered") return this.#join(node, answer, clientNonce)
      if (answer.retryable) await delay(answer.retry_after_ms ?? this.#backoff.next())
      else {
        // A node that has ended is told up to where it was stored.
        if (answer.code === "terminal" && answer.seq !== undefined && node.isBorn)
          node.attach({ incarnation: node.incarnation, last_seq: answer.seq }, performance.now())
        return this.#refuse(node, `${answer.code}: ${answer.message}`)
      }
    }
  }

  #join(node: LoadNode, frame: RegisteredFrame, clientNonce: string): void {
    const { legacy } = this.#context
    const isOurs =
      frame.nonce === this.#hello?.nonce && frame.client_nonce === clientNonce && frame.child_pub_key === node.key.text
    if (!legacy && !isOurs) return this.#accuse("registered has not our nonces and key in it")
    if (frame.only !== undefined) return this.#refuse(node, "the node was told to stop")
    if (!legacy) {
      const share = this.nodes.length
      const { max_in_flight, max_in_flight_bytes } = frame.limits
      const bytes = node.options.payload.length + OVERHEAD
      node.allowed = Math.max(
        1,
        Math.min(
          node.options.window,
          Math.floor(max_in_flight / share),
          Math.floor(max_in_flight_bytes / share / bytes)
        )
      )
      this.#pingMs = frame.ping_interval_ms
    }
    node.attach(frame, performance.now())
    this.#joined.add(node)
    this.#sendAgain(node)
  }

  #sendAgain(node: LoadNode): void {
    for (const text of node.unacked()) this.#socket!.send(text)
    this.fill(node)
  }

  #refuse(node: LoadNode, why: string): void {
    this.#context.tally.note(`refused: ${why}`)
    node.refuse()
    this.#joined.delete(node)
    if (this.#wasAttached && this.#isOver) this.#socket?.close(1000)
  }

  /** The server, or somebody in between, does what it must not: this socket is not to be trusted. */
  #accuse(what: string): void {
    this.#context.tally.violations++
    this.#context.tally.note(what)
    this.#socket?.terminate()
  }

  #receive(text: string): void {
    const now = performance.now()
    this.#heardAt = now
    const { legacy, serverKey } = this.#context
    if (serverKey !== null) {
      const signed = splitSigned(text)
      if (signed === null || !verifySync(serverKey, TAGS.server, signed.message, signed.signature))
        return this.#accuse("a server frame is not signed by the server's key")
    }
    let value: ServerFrame
    try {
      value = JSON.parse(text) as ServerFrame
    } catch {
      return this.#accuse("a server frame is not JSON")
    }
    if (value.type === "ack") return this.#onAck(value.app_id, value.incarnation, value.seq, now)
    if (legacy) return this.#dispatch(value)
    const decoded = decodeServerFrame(text)
    if ("frame" in decoded) this.#dispatch(decoded.frame)
    else this.#context.tally.note(`a server frame was not understood: ${decoded.message}`)
  }

  #onAck(appId: string, incarnation: number, seq: number, now: number): void {
    const node = this.#nodeOf(appId)
    if (node === null) return
    if (!Number.isSafeInteger(seq)) return this.#accuse("an ack without a seq")
    if (!this.#context.legacy && incarnation !== node.incarnation) return
    node.ack(seq, now)
    this.fill(node)
  }

  #dispatch(frame: ServerFrame): void {
    if (frame.type === "hello") return this.#onHello(frame)
    if (frame.type === "error") return this.#onError(frame)
    if (frame.type !== "registered" && frame.type !== "control") return
    const node = this.#nodeOf(frame.app_id)
    if (node === null) return
    if (frame.type === "control") return this.#onControl(frame, node)
    this.#answer(node, frame)
  }

  #answer(node: LoadNode, answer: Answer): boolean {
    const waiting = this.#answers.get(node)
    this.#answers.delete(node)
    waiting?.(answer)
    return waiting !== undefined
  }

  #onError(frame: ErrorFrame): void {
    const socket = this.#socket!
    const node = this.#nodeOf(frame.app_id)
    if (node === null || frame.code === "going_away") {
      this.#retryAfterMs = Math.max(this.#retryAfterMs, frame.retry_after_ms ?? 0)
      if (frame.code !== "going_away") return this.#context.tally.note(`error ${frame.code}: ${frame.message}`)
      this.#isAway = true
      return void setTimeout(() => socket.terminate(), LEAVE_MS)
    }
    if (this.#answer(node, frame) || !this.#joined.has(node)) return
    // Its session is gone, on our side only is it still there.
    if (frame.code === "not_registered") return socket.terminate()
    if (!frame.retryable) return this.#refuse(node, `${frame.code}: ${frame.message}`)
    if (this.#resends.has(node)) return
    const timer = setTimeout(() => {
      this.#resends.delete(node)
      this.#sendAgain(node)
    }, frame.retry_after_ms ?? RESEND_MS)
    this.#resends.set(node, timer)
  }

  #onControl({ action, correlation_id }: ControlFrame, node: LoadNode): void {
    const common = {
      type: "control_result",
      app_id: node.birth.appId,
      incarnation: node.incarnation,
      correlation_id
    } as const
    if (action !== "cancel") return this.#socket!.send(node.sealed({ ...common, ack: false, error: "unknown_action" }))
    this.#socket!.send(node.sealed({ ...common, ack: true }, "null"))
    this.#refuse(node, "the node was told to stop")
  }

  /** A legacy server may leave `app_id` out: its socket has one node. */
  #nodeOf(appId: string | undefined): LoadNode | null {
    if (appId === undefined) return this.nodes.length === 1 ? this.nodes[0]! : null
    return this.#byId.get(appId) ?? null
  }
}
