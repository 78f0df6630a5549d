import { type IncomingMessage, STATUS_CODES } from "node:http"
import type { Duplex } from "node:stream"
import { type Server, WebSocketServer as WsServer } from "ws"
import type { Dialect, Level } from "../protocol/Frames.ts"
import { isWeaker } from "../protocol/Level.ts"
import type { SettingsShape } from "../Settings.ts"
import { Connection } from "./Connection.ts"
import type { Waiter } from "./Handshakes.ts"
import { isIndirect, originProblem } from "./RequestOrigin.ts"
import type { SocketHub } from "./SocketHub.ts"
import type { SocketLimits } from "./SocketLimits.ts"
import { TrailsSocket } from "./TrailsSocket.ts"

const PATH = "/ws"
const SUBPROTOCOL = "trails.v1"
const RETRY_AFTER_S = 5

type UpgradeSettings = Pick<SettingsShape, "loopback" | "publicUrl" | "allowedOrigins" | "minLevel" | "maxFrame">

interface Refused {
  readonly status: number
  readonly message: string
}

/** v1 when it offers `trails.v1`, legacy when it offers nothing; nothing else is spoken here (PROTOCOL §3). */
export const dialectOf = (offer: string | undefined): Dialect | Refused => {
  if (offer === undefined) return "legacy"
  if (offer.split(",").some((name) => name.trim() === SUBPROTOCOL)) return "v1"
  return {
    status: 400,
    message: `none of the offered subprotocols is spoken here: offer ${SUBPROTOCOL} (clients of before version 1 offer none)`
  }
}

/**
 * The level that may register here. Behind a proxy a loopback listener is open to whoever reaches the proxy, and a browser
 * lends itself to foreign pages: the privileges of `open` do not hold there (PROTOCOL §4).
 */
const floorOf = (request: IncomingMessage, { loopback, minLevel }: UpgradeSettings): Level =>
  loopback && isIndirect(request) && isWeaker(minLevel, "signed") ? "signed" : minLevel

export type UpgradeListener = (request: IncomingMessage, stream: Duplex, head: Buffer) => void

interface Outcomes {
  readonly admitted: () => void
  readonly refused: () => void
  readonly gone: (waiter: Waiter) => void
}

/** A socket between its request and its admission. It is read, since a peer that has gone shows only there. */
class WaitingUpgrade implements Waiter {
  readonly #stream: Duplex
  readonly #outcomes: Outcomes

  constructor(stream: Duplex, outcomes: Outcomes) {
    this.#stream = stream
    this.#outcomes = outcomes
    stream.on("data", this.#leave)
    stream.on("end", this.#leave)
    stream.on("close", this.#leave)
  }

  readonly admitted = (): void => {
    this.#release()
    this.#outcomes.admitted()
  }

  readonly refused = (): void => {
    this.#release()
    this.#outcomes.refused()
  }

  /** Gone, or talking before the upgrade is answered, which RFC 6455 §4.1 forbids. */
  readonly #leave = (): void => {
    this.#release()
    this.#stream.destroy()
    this.#outcomes.gone(this)
  }

  #release(): void {
    this.#stream.off("data", this.#leave)
    this.#stream.off("end", this.#leave)
    this.#stream.off("close", this.#leave)
  }
}

/** From the HTTP upgrade to a `Connection`: the rules for browsers and proxies, the dialect, admission. */
export class Upgrades {
  readonly #hub: SocketHub
  readonly #settings: UpgradeSettings
  readonly #ws: Server<typeof TrailsSocket>
  readonly #others = new Map<string, UpgradeListener>()
  #waiting = 0
  #closed = false

  constructor(hub: SocketHub, settings: UpgradeSettings) {
    this.#hub = hub
    this.#settings = settings
    this.#ws = new WsServer<typeof TrailsSocket>(wsOptions(hub.limits, settings.maxFrame))
  }

  /** Upgrades at that path are another's, who refuses them too. */
  at(path: string, listener: UpgradeListener): void {
    this.#others.set(path, listener)
  }

  /** Refuses every upgrade from now on, and those that wait. */
  close(): void {
    this.#closed = true
    this.#hub.handshakes.close()
  }

  readonly onUpgrade = (request: IncomingMessage, stream: Duplex, head: Buffer): void => {
    stream.on("error", ignore)
    const other = this.#closed ? undefined : this.#others.get(pathOf(request))
    if (other !== undefined) return other(request, stream, head)
    const answer = this.#judge(request)
    if (typeof answer === "object") return refuse(stream, answer)
    const waiting = new WaitingUpgrade(stream, {
      admitted: () => {
        this.#waiting--
        this.#upgrade(request, stream, head, answer)
      },
      refused: () => {
        this.#waiting--
        refuse(stream, this.#closed ? STOPPING : BUSY)
      },
      gone: (waiter) => {
        this.#waiting--
        this.#hub.handshakes.forget(waiter)
      }
    })
    this.#waiting++
    if (!this.#hub.handshakes.enter(waiting, "upgrade")) waiting.refused()
  }

  #judge(request: IncomingMessage): Dialect | Refused {
    if (this.#closed) return STOPPING
    if (pathOf(request) !== PATH) return { status: 404, message: `the WebSocket is at ${PATH}` }
    const problem = originProblem(request, this.#settings)
    if (problem !== null) return problem
    if (this.#hub.connections.size + this.#waiting >= this.#hub.limits.sockets) return BUSY
    return dialectOf(request.headers["sec-websocket-protocol"])
  }

  /** Holds a place among the handshakes, which the connection takes over. */
  #upgrade(request: IncomingMessage, stream: Duplex, head: Buffer, dialect: Dialect): void {
    let upgraded = false
    const { remoteAddress, remotePort } = request.socket
    const floor = floorOf(request, this.#settings)
    this.#ws.handleUpgrade(request, stream, head, (socket) => {
      upgraded = true
      void new Connection(this.#hub, socket, stream, { dialect, floor, peer: `${remoteAddress}:${remotePort}` })
    })
    // It was no proper upgrade, or the peer has gone: `ws` has answered.
    if (!upgraded) this.#hub.handshakes.leave()
  }
}

const pathOf = ({ url }: IncomingMessage): string => url?.split("?", 1)[0] ?? ""

const BUSY: Refused = { status: 503, message: "this server has as many sockets as it can serve: try again later" }
const STOPPING: Refused = { status: 503, message: "this server is stopping: try again, or another replica" }

/** Every bound of `ws` made explicit; compression is off (DESIGN §9), pings are answered by `TrailsSocket`. */
const wsOptions = (limits: SocketLimits, maxFrame: number) =>
  ({
    noServer: true,
    clientTracking: false,
    WebSocket: TrailsSocket,
    perMessageDeflate: false,
    maxPayload: limits.strangerBytes,
    maxFragments: 1024,
    // A frame in pieces of 256 bytes on average; smaller ones cost more memory than they carry.
    maxBufferedChunks: Math.max(4096, Math.ceil(maxFrame / 256)),
    autoPong: false,
    allowSynchronousEvents: true,
    skipUTF8Validation: false,
    closeTimeout: limits.closeMs,
    handleProtocols: (offered: Set<string>) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false)
  }) as const

const ignore = (): void => {}

const refuse = (stream: Duplex, { message, status }: Refused): void => {
  stream.once("finish", () => stream.destroy())
  stream.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n` +
      "Connection: close\r\nContent-Type: text/plain; charset=utf-8\r\n" +
      (status === 503 ? `Retry-After: ${RETRY_AFTER_S}\r\n` : "") +
      `Content-Length: ${Buffer.byteLength(message) + 1}\r\n\r\n${message}\n`
  )
}
