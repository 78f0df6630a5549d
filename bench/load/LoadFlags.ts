import { parseArgs } from "node:util"
import { nearestName } from "../../src/protocol/NearestName.ts"

export interface LoadFlags {
  /** WebSocket endpoints; nodes spread over them. */
  readonly urls: ReadonlyArray<URL>
  readonly level: "open" | "signed"
  readonly legacy: boolean
  readonly nodes: number
  /** How long to send, or how many messages in all. */
  readonly end: { readonly seconds: number } | { readonly messages: number }
  /** Messages per second in all; null = as fast as acks come. */
  readonly rate: number | null
  /** Unacked messages per node. */
  readonly window: number
  /** Bytes of the JSON text of each payload. */
  readonly payload: number
  readonly processes: number
  readonly nodesPerSocket: number
  /** Sockets that connect at a time, in all. */
  readonly width: number
  readonly adminKeyFile: string | null
  readonly json: boolean
}

export type LoadCommand =
  | { readonly _tag: "Run"; readonly flags: LoadFlags }
  | { readonly _tag: "Print"; readonly text: string }
  /** Exit code 64. */
  | { readonly _tag: "Wrong"; readonly text: string }

interface Flag {
  /** Of the value; null for a switch. */
  readonly value: string | null
  readonly doc: string
}

/** Nodes that one process can carry before it becomes what is measured. */
export const MOST_PER_PROCESS = 5000
export const DEFAULT_URL = "ws://127.0.0.1:8443/ws"
const SMALLEST_PAYLOAD = 16

const FLAGS: Readonly<Record<string, Flag>> = {
  url: { value: "URL[,URL…]", doc: `Endpoints (ws, wss); a lost socket goes on to the next. Default: ${DEFAULT_URL}` },
  nodes: { value: "N", doc: "Nodes. Default: 100" },
  seconds: { value: "S", doc: "Send for so long. Default, unless --messages says how many: 10" },
  messages: { value: "M", doc: "Send so many messages, in all and not per node" },
  level: { value: "open|signed", doc: "Security level of the nodes. Default: open" },
  legacy: { value: null, doc: "Speak the dialect of the older public clients: no subprotocol, an ack per message" },
  rate: { value: "R", doc: "At most so many messages per second, in all. Default: the next one when an ack comes" },
  window: { value: "W", doc: "Unacked messages per node. Default: 8" },
  payload: { value: "BYTES", doc: `Size of each payload's JSON text, from ${SMALLEST_PAYLOAD} on. Default: 100` },
  processes: {
    value: "P",
    doc: `Processes for the nodes. Default: 1 up to 500 nodes, then 2; ${MOST_PER_PROCESS} each at most`
  },
  "nodes-per-socket": { value: "K", doc: "Nodes that share a socket. Default: 1" },
  width: { value: "C", doc: "Sockets that connect at a time. Default: 200" },
  "admin-key": {
    value: "FILE",
    doc: "Administrator's key; above open it asks for the nodes' tickets. Default, for a server on this machine: the one that it advertises in ~/.trails/servers"
  },
  json: { value: null, doc: "Nothing but the last line on stdout" },
  help: { value: null, doc: "This text" }
}

class Wrong extends Error {}

type Values = Readonly<Record<string, ReadonlyArray<string>>>

const readValues = (args: ReadonlyArray<string>): Values => {
  const options = Object.fromEntries(
    Object.entries(FLAGS).map(([name, { value }]) => [
      name,
      { type: value === null ? ("boolean" as const) : ("string" as const) }
    ])
  )
  const { tokens } = parseArgs({ args: [...args], options, strict: false, allowPositionals: true, tokens: true })
  const values: Record<string, Array<string>> = {}
  for (const token of tokens) {
    if (token.kind === "option-terminator") continue
    if (token.kind === "positional") throw new Wrong(`load takes no "${token.value}": everything is a flag.`)
    const flag = Object.hasOwn(FLAGS, token.name) ? FLAGS[token.name] : undefined
    if (flag === undefined) {
      const near = nearestName(token.name, Object.keys(FLAGS))
      throw new Wrong(`load does not take ${token.rawName}.${near === null ? "" : ` Did you mean --${near}?`}`)
    }
    if (flag.value === null && token.value !== undefined) throw new Wrong(`${token.rawName} takes no value.`)
    if (flag.value !== null && (token.value === undefined || token.value === ""))
      throw new Wrong(`${token.rawName} needs a value: ${token.rawName} ${flag.value}`)
    const given = (values[token.name] ??= [])
    if (given.length > 0 && token.name !== "url") throw new Wrong(`${token.rawName} is given twice.`)
    given.push(token.value ?? "")
  }
  return values
}

const numberOf = (values: Values, name: string, least: number, most: number, whole: boolean): number | null => {
  const text = values[name]?.[0]
  if (text === undefined) return null
  const value = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= least && value <= most) || (whole && !Number.isInteger(value)))
    throw new Wrong(`--${name} takes a ${whole ? "whole " : ""}number from ${least} to ${most}, not "${text}".`)
  return value
}

const urlOf = (text: string): URL => {
  const url = URL.parse(text)
  if (url === null || !/^wss?:$/.test(url.protocol) || url.hostname === "")
    throw new Wrong(`--url takes WebSocket endpoints such as ${DEFAULT_URL}, not "${text}".`)
  if (url.username !== "" || url.hash !== "") throw new Wrong("--url takes neither a user nor a fragment.")
  if (url.pathname === "/") url.pathname = "/ws"
  return url
}

const endOf = (values: Values): LoadFlags["end"] => {
  const seconds = numberOf(values, "seconds", 0.1, 7 * 24 * 3600, false)
  const messages = numberOf(values, "messages", 1, 1e12, true)
  if (seconds !== null && messages !== null) throw new Wrong("Give either --seconds or --messages, not both.")
  return messages === null ? { seconds: seconds ?? 10 } : { messages }
}

const flagsOf = (values: Values): LoadFlags => {
  const level = values["level"]?.[0] ?? "open"
  if (level !== "open" && level !== "signed") throw new Wrong(`--level is open or signed, not "${level}".`)
  const legacy = values["legacy"] !== undefined
  if (legacy && level !== "open") throw new Wrong("--legacy knows no signatures: it goes with --level open only.")
  const nodesPerSocket = numberOf(values, "nodes-per-socket", 1, 1000, true) ?? 1
  if (legacy && nodesPerSocket > 1)
    throw new Wrong("--legacy has a socket for each node: leave --nodes-per-socket out.")
  const nodes = numberOf(values, "nodes", 1, 1_000_000, true) ?? 100
  const processes =
    numberOf(values, "processes", 1, 256, true) ?? (nodes <= 500 ? 1 : Math.max(2, Math.ceil(nodes / MOST_PER_PROCESS)))
  if (nodes > processes * MOST_PER_PROCESS)
    throw new Wrong(
      `${nodes} nodes need at least ${Math.ceil(nodes / MOST_PER_PROCESS)} processes, ${MOST_PER_PROCESS} nodes each.`
    )
  return {
    urls: (values["url"] ?? [DEFAULT_URL]).flatMap((list) => list.split(",")).map(urlOf),
    level,
    legacy,
    nodes,
    end: endOf(values),
    rate: numberOf(values, "rate", 0.001, 1e7, false),
    window: numberOf(values, "window", 1, 10_000, true) ?? 8,
    payload: numberOf(values, "payload", SMALLEST_PAYLOAD, 16 * 1024 * 1024, true) ?? 100,
    processes: Math.min(processes, Math.ceil(nodes / nodesPerSocket)),
    nodesPerSocket,
    width: numberOf(values, "width", 1, 10_000, true) ?? 200,
    adminKeyFile: values["admin-key"]?.[0] ?? null,
    json: values["json"] !== undefined
  }
}

/** What the command line asks for. */
export const readFlags = (args: ReadonlyArray<string>): LoadCommand => {
  if (args.includes("--help") || args.includes("-h")) return { _tag: "Print", text: usage }
  try {
    return { _tag: "Run", flags: flagsOf(readValues(args)) }
  } catch (error) {
    if (!(error instanceof Wrong)) throw error
    return { _tag: "Wrong", text: `${error.message} --help lists the flags.` }
  }
}

const usage = [
  "load: many nodes that send Status messages to a server of the TRAILS protocol, and what became of them.",
  "",
  "Usage: npm run bench:load -- [flags]",
  "",
  ...Object.entries(FLAGS).map(
    ([name, { doc, value }]) => `  --${name}${value === null ? "" : ` ${value}`}\n      ${doc}.`
  ),
  "",
  "The last line on stdout is JSON: acked messages per second, percentiles of the time from send to ack, and how many",
  "messages were sent, acked and lost. lost = sent and not acked, after reconnection and a drain of at most 30 s.",
  "Ctrl-C ends the sending; a second one the drain too.",
  "",
  "Exit codes: 0 all acked, 1 messages lost or refused, 64 wrong usage, 69 no server answers, 70 internal failure, 78 no",
  "usable administrator's key."
].join("\n")
