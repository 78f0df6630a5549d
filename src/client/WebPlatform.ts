import type { Platform, SocketEvents, SocketPort } from "./Platform.ts"
import { webCryptography } from "./WebCryptography.ts"

const SUBPROTOCOL = "trails.v1"

/** The part of the standard `WebSocket` that is used here. */
interface StandardSocket {
  readonly readyState: number
  send(text: string): void
  close(code?: number): void
  onopen: (() => void) | null
  onmessage: ((event: { readonly data: unknown }) => void) | null
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null
}

const OPEN = 1
const GOING = 1000

const connect = (url: string, events: SocketEvents): SocketPort => {
  let socket: StandardSocket
  try {
    socket = new (
      globalThis as unknown as { WebSocket: new (url: string, protocols: Array<string>) => StandardSocket }
    ).WebSocket(url, [SUBPROTOCOL])
  } catch (error) {
    setTimeout(() => events.closed(`${url} can't be connected to: ${String(error)}`), 0)
    return { send: () => {}, close: () => {}, terminate: () => {} }
  }
  let isOver = false
  const over = (reason: string): void => {
    if (isOver) return
    isOver = true
    events.closed(reason)
  }
  socket.onopen = events.opened
  socket.onmessage = ({ data }) => {
    if (typeof data === "string") events.message(data)
    else socket.close(GOING)
  }
  socket.onclose = ({ code, reason }) => over(`the server can't be reached, or closed the socket (${code} ${reason})`)
  return {
    send: (text) => {
      if (socket.readyState === OPEN) socket.send(text)
    },
    close: () => socket.close(GOING),
    terminate: () => socket.close(GOING)
  }
}

const startTime = Math.round(performance.timeOrigin)

/** Browsers. Their sockets show no pings, and a page that goes away says nothing: its node is then `crashed`. */
export const webPlatform: Platform = {
  cryptography: webCryptography,
  environment: () => undefined,
  processInfo: () => ({
    pid: 0,
    ppid: 0,
    uid: 0,
    gid: 0,
    hostname: (globalThis as { location?: { host?: string } }).location?.host ?? "browser",
    start_time: startTime,
    executable: (globalThis as { navigator?: { userAgent?: string } }).navigator?.userAgent ?? "browser"
  }),
  connect,
  askAgent: () => Promise.reject(new Error("there are no Unix sockets in a browser")),
  showsPings: false,
  // RFC 6455 §4.1: a browser lets them wait for each other.
  connectsBeside: false,
  wallClock: () => Date.now(),
  monotonic: () => performance.now(),
  random: Math.random,
  newId: () => crypto.randomUUID(),
  later: (milliseconds, task) => {
    // Beyond this a browser's timer fires at once.
    const timer = setTimeout(task, Math.min(milliseconds, 2 ** 31 - 1))
    return () => clearTimeout(timer)
  },
  soon: (task) => void setTimeout(task, 0),
  keepAlive: () => () => {},
  warn: (text) => console.warn(`trails: ${text}`),
  watchExit: () => {}
}
