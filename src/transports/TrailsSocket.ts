import type { Duplex } from "node:stream"
import { WebSocket } from "ws"
import { Pacer } from "./Pacer.ts"

/** What a socket tells its connection. */
export interface SocketOwner {
  readonly onMessage: (data: Buffer, isBinary: boolean) => void
  /** The peer has sent a close frame, or ended its side of the TCP connection. */
  readonly onPeerClosing: () => void
  /** The peer broke RFC 6455 or a limit; the socket is still open, and is closed with `code` right after. */
  readonly onViolation: (code: number) => void
  /** The TCP connection has ended on the peer's side, or broke; what follows from it waits for its turn. May come twice. */
  readonly onEnding: () => void
  /** Nothing can be received or sent any more. */
  readonly onClosed: () => void
}

/** Private to `ws` 8: how it is told another limit once a node has registered. `TrailsSocket.test.ts` guards it. */
interface Receiver {
  _maxPayload: number
  end: () => Receiver
}

/** Private to `ws` 8: the names of its listeners at the stream. `TrailsSocket.test.ts` guards them. */
const WS_LISTENERS = { end: "socketOnEnd", close: "socketOnClose" } as const

/** Takes what `ws` does at the stream's end, or at its close, away from the stream. */
const takeOver = (stream: Duplex, event: "end" | "close"): Function | null => {
  const listener = stream.listeners(event).find(({ name }) => name === WS_LISTENERS[event]) ?? null
  if (listener !== null) stream.off(event, listener as () => void)
  return listener
}

const isOwned = Symbol("trails/transports/TrailsSocket")

type OwnedStream = Duplex & { [isOwned]?: TrailsSocket }

/**
 * `ws` with its listeners shared by all sockets, so that an idle one costs no closure, and with the two facts that `ws`
 * tells only after the TCP connection has ended: the peer is closing, the peer broke a rule.
 */
export class TrailsSocket extends WebSocket {
  owner: SocketOwner | null = null
  #stream: OwnedStream | null = null
  #corked = false
  #wsEnd: Function | null = null
  #wsClose: Function | null = null
  #isStreamClosed = false
  /** What the connection broke by, until the stream is destroyed. */
  #broken: Error | null = null

  own(owner: SocketOwner, stream: Duplex): void {
    this.owner = owner
    this.#stream = stream
    this.#stream[isOwned] = this
    // What `ws` does then waits for its turn with the others that end now.
    this.#wsEnd = takeOver(stream, "end")
    this.#wsClose = takeOver(stream, "close")
    stream.on("end", onStreamEnd)
    stream.on("close", onStreamClose)
    stream.destroy = destroyInTurn
    this.on("message", onMessage)
    this.on("ping", onPing)
    this.on("error", onError)
    this.on("close", onClose)
  }

  get bytesRead(): number {
    return (this.#stream as { readonly bytesRead?: number } | null)?.bytesRead ?? 0
  }

  /** `ws` offers no public way to change it later. */
  set maxPayload(bytes: number) {
    ;(this as unknown as { readonly _receiver: Receiver })._receiver._maxPayload = bytes
  }

  /** The stream has ended, or has closed too: its turn comes. */
  ending(isClosed: boolean): void {
    this.#isStreamClosed ||= isClosed
    this.owner?.onEnding()
    endings.push(this)
  }

  /** The connection broke (a reset, as a rule): Node reads it no more, and would destroy the stream. */
  breaking(error: Error): void {
    if (this.#broken !== null) return
    this.#broken = error
    this.ending(false)
  }

  /** Its turn. A stream that is destroyed, here or meanwhile, closes, and has another turn then. */
  end(): void {
    const stream = this.#stream
    if (stream === null) return
    if (this.#isStreamClosed) {
      this.#wsClose?.call(stream)
      this.#wsClose = null
    } else if (!stream.destroyed) {
      if (this.#broken === null) {
        this.#wsEnd?.call(stream)
        this.endOnce()
      } else destroy.call(stream, this.#broken)
      this.owner?.onPeerClosing()
    }
  }

  /**
   * `ws` ends its receiver at the stream's end, and once more at its close, where Node then makes an error with a stack
   * for nobody: with ten thousand sockets cut at once that alone blocked the loop for a second.
   */
  endOnce(): void {
    const { _receiver: receiver } = this as unknown as { readonly _receiver: Receiver }
    receiver.end = () => receiver
  }

  /** Sends text; what is sent in one turn of the event loop goes out in one system call. */
  write(text: string): void {
    if (this.readyState !== WebSocket.OPEN || this.#stream === null || this.#stream.destroyed) return
    if (!this.#corked) {
      this.#corked = true
      this.#stream.cork()
      process.nextTick(uncork, this)
    }
    this.send(text)
  }

  /** Calls `then` once when the kernel has taken all that waits, of which there must be more than the stream buffers. */
  onceDrained(then: () => void): void {
    this.#stream?.once("drain", then)
  }

  uncork(): void {
    this.#corked = false
    this.#stream?.uncork()
  }

  /**
   * `ws` itself calls this when the peer is closing, with a code and a reason or with neither, and when the peer broke
   * a rule, with a code alone. Our own closings go through `shut`.
   */
  override close(code?: number, reason?: string | Buffer): void {
    if (this.readyState === WebSocket.OPEN) {
      if (code !== undefined && reason === undefined) this.owner?.onViolation(code)
      else this.owner?.onPeerClosing()
    }
    super.close(code, reason)
  }

  /** Closing handshake by our own decision. */
  shut(code: number, reason: string): void {
    super.close(code, reason)
  }
}

const uncork = (socket: TrailsSocket): void => socket.uncork()

function onMessage(this: WebSocket, data: unknown, isBinary: boolean): void {
  ;(this as TrailsSocket).owner?.onMessage(data as Buffer, isBinary)
}

function onPing(this: WebSocket, data: Buffer): void {
  // Pongs queue up for a peer that pings and does not read: beyond a bound it gets none.
  if (this.readyState === WebSocket.OPEN && this.bufferedAmount < MAX_PONG_BACKLOG) this.pong(data)
}

const MAX_PONG_BACKLOG = 64 * 1024

// The violation has been reported by `close`; a broken connection is reported by `close` and `end`.
function onError(): void {}

function onClose(this: WebSocket): void {
  ;(this as TrailsSocket).owner?.onClosed()
}

function onStreamEnd(this: OwnedStream): void {
  this[isOwned]?.ending(false)
}

function onStreamClose(this: OwnedStream): void {
  this[isOwned]?.ending(true)
}

/** In place of the stream's own: to destroy it costs more than to read its end, and thousands may be reset at once. */
function destroyInTurn(this: OwnedStream, error?: Error | null): OwnedStream {
  const socket = this[isOwned]
  if (error == null || socket === undefined || this.destroyed) destroy.call(this, error ?? undefined)
  else socket.breaking(error)
  return this
}

/** The stream's own, that of its class. */
function destroy(this: OwnedStream, error?: Error): void {
  ;(Object.getPrototypeOf(this) as Duplex).destroy.call(this, error)
}

const endings = new Pacer<TrailsSocket>((socket) => socket.end())
