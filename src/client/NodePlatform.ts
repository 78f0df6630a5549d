import { randomUUID } from "node:crypto"
import { connect as connectTcp, isIP, type TcpNetConnectOpts } from "node:net"
import { hostname, userInfo } from "node:os"
import { connect as connectTls, type ConnectionOptions } from "node:tls"
import { WebSocket } from "ws"
import type { ProcessInfo } from "../protocol/Frames.ts"
import * as Limits from "../protocol/Limits.ts"
import { askAgent } from "./askAgent.ts"
import { nodeCryptography } from "./NodeCryptography.ts"
import type { Platform, SocketEvents, SocketPort } from "./Platform.ts"

const SUBPROTOCOL = "trails.v1"
const CONNECT_MS = 30_000
/** What a server may send at once: an event may carry a frame of the largest size that it takes, escaped. */
const MAX_PAYLOAD = 64 * 1024 * 1024

const startTime = Math.round(Date.now() - process.uptime() * 1000)

/** What a container has no entry for, or Deno no permission to tell, must not stop the program. */
const told = <A>(ask: () => A, otherwise: A): A => {
  try {
    return ask()
  } catch {
    return otherwise
  }
}

const variable = (name: string): string | undefined => told(() => process.env[name], undefined)

const optional = (key: "user" | "node_name" | "pod_ip" | "namespace", value: string | undefined) =>
  value === undefined || value === "" ? {} : { [key]: value.slice(0, Limits.NAME) }

/** Self-reported (PROTOCOL §3, §9). The Kubernetes names are those of the downward API's usual variables. */
const processInfo = (): ProcessInfo => ({
  pid: process.pid,
  ppid: process.ppid,
  uid: told(() => process.getuid?.() ?? 0, 0),
  gid: told(() => process.getgid?.() ?? 0, 0),
  hostname: told(hostname, "unknown").slice(0, Limits.NAME),
  ...optional(
    "user",
    told(() => userInfo().username, undefined)
  ),
  ...optional("node_name", variable("NODE_NAME")),
  ...optional("pod_ip", variable("POD_IP")),
  ...optional("namespace", variable("POD_NAMESPACE")),
  start_time: startTime,
  executable: told(() => process.execPath, "unknown").slice(0, Limits.PATH)
})

/** A connection that keeps no process alive: whoever waits for something does (`keepAlive`). */
const unreferenced = (secure: boolean) => (options: ConnectionOptions & TcpNetConnectOpts) => {
  const host = options.host ?? ""
  const servername = options.servername ?? (isIP(host) === 0 ? host : "")
  // `path` is the URL's here; of a connection it would be that of a Unix socket.
  const target = { ...options, path: undefined }
  const socket = secure
    ? connectTls({ ...target, servername } as ConnectionOptions)
    : connectTcp(target as TcpNetConnectOpts)
  socket.unref()
  return socket
}

/** On `ws`. */
const connect = (url: string, events: SocketEvents): SocketPort => {
  let isOver = false
  const over = (reason: string): void => {
    if (isOver) return
    isOver = true
    events.closed(reason)
  }
  let socket: WebSocket
  try {
    socket = new WebSocket(url, [SUBPROTOCOL], {
      perMessageDeflate: false,
      handshakeTimeout: CONNECT_MS,
      maxPayload: MAX_PAYLOAD,
      followRedirects: false,
      createConnection: unreferenced(url.startsWith("wss:")) as never
    })
  } catch (error) {
    setImmediate(over, `${url} can't be connected to: ${String(error)}`)
    return { send: () => {}, close: () => {}, terminate: () => {} }
  }
  let failure: string | null = null
  socket.on("open", events.opened)
  socket.on("ping", events.alive)
  socket.on("message", (data, isBinary) => {
    if (isBinary) return socket.terminate()
    events.message((data as Buffer).toString("utf8"))
  })
  socket.on("error", (error) => {
    failure = `${url}: ${error.message || ("code" in error ? String(error.code) : error.name)}`
  })
  socket.on("close", (code, reason) => over(failure ?? `the server closed the socket (${code} ${reason.toString()})`))
  return {
    send: (text) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(text)
    },
    close: () => socket.close(1000),
    terminate: () => socket.terminate()
  }
}

/** Longest delay of a timer that is set again and again to keep a process alive. */
const FOREVER_MS = 2 ** 31 - 1

/** Node, Deno and Bun. */
export const nodePlatform: Platform = {
  cryptography: nodeCryptography,
  environment: (name) => process.env[name],
  processInfo,
  connect,
  askAgent,
  showsPings: true,
  connectsBeside: true,
  wallClock: () => Date.now(),
  monotonic: () => performance.now(),
  random: Math.random,
  newId: randomUUID,
  later: (milliseconds, task) => {
    const timer = setTimeout(task, Math.min(milliseconds, FOREVER_MS))
    timer.unref()
    return () => clearTimeout(timer)
  },
  soon: (task) => void setImmediate(task),
  keepAlive: () => {
    const timer = setInterval(() => {}, FOREVER_MS)
    return () => clearInterval(timer)
  },
  warn: (text) => void process.stderr.write(`trails: ${text}\n`),
  watchExit: ({ ending, failed, idle }) => {
    process.on("beforeExit", idle)
    // Watches only: what the process does about the error is not changed.
    process.on("uncaughtExceptionMonitor", failed)
    process.on("exit", ending)
  }
}
