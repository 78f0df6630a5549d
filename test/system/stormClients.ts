/**
 * A process full of clients for the reconnect storm: forked, commanded over IPC. One socket per node; a lost socket is
 * dialled again at once, at the next of several addresses.
 */
import type { Level } from "../../src/protocol/Frames.ts"
import { keypairFromSeed, type Keypair } from "../harness/Keypair.ts"
import { RawNode, Refused } from "../harness/RawNode.ts"
import { makeEnvelope } from "../harness/TestEnvelope.ts"
import { Wire } from "../harness/Wire.ts"

export interface StormStart {
  readonly do: "start"
  /** Of each replica. */
  readonly urls: ReadonlyArray<string>
  readonly level: Level
  readonly count: number
  /** Seed of the server's key: roots above `open` need its tickets. */
  readonly serverSeed: string
  readonly pingIntervalMs: number
  /** Registrations in flight. */
  readonly width: number
}

export type StormCommand = StormStart | { readonly do: "cut" } | { readonly do: "send" } | { readonly do: "count" }

export interface StormCount {
  readonly attached: number
  readonly unacked: number
  readonly reconnects: number
  /** Attempts that ended without a session, by reason. */
  readonly failures: Readonly<Record<string, number>>
}

const nodes: Array<RawNode> = []
const failures: Record<string, number> = {}
let reconnects = 0
let urls: ReadonlyArray<string> = []
let turn = 0
let serverKey: Keypair | null = null

const count = (): StormCount => ({
  attached: nodes.filter((node) => node.isAttached).length,
  unacked: nodes.reduce((sum, node) => sum + node.inFlight, 0),
  reconnects,
  failures
})

/** Dials until the node has a session again; a node that is refused for good is given up and counted. */
const keepAttached = async (node: RawNode): Promise<void> => {
  for (;;) {
    let wire: Wire | null = null
    try {
      wire = await Wire.open(urls[turn++ % urls.length]!, { withinMs: 90_000 })
      await (node.registered === null ? node.register(wire) : node.reRegister(wire))
      break
    } catch (error) {
      const reason = error instanceof Refused ? error.code : error instanceof Error ? error.message : "unknown"
      failures[reason] = (failures[reason] ?? 0) + 1
      wire?.terminate()
      if (error instanceof Refused && !error.frame.retryable) return
      await new Promise((resolve) =>
        setTimeout(resolve, error instanceof Refused ? (error.frame.retry_after_ms ?? 100) : 100)
      )
    }
  }
  void node.wire!.closed.then(() => {
    reconnects++
    return keepAttached(node)
  })
}

const start = async (command: StormStart): Promise<void> => {
  urls = command.urls
  serverKey = keypairFromSeed(Buffer.from(command.serverSeed, "base64"))
  const issuer = command.level === "open" ? null : serverKey
  const worker = async (): Promise<void> => {
    while (nodes.length < command.count) {
      const envelope = makeEnvelope(
        { serverEp: urls[0]!, serverPubKey: serverKey!.text, secLevel: command.level, startDeadline: 0 },
        issuer
      )
      const node = new RawNode(envelope, { serverKey: serverKey!.text, pingIntervalMs: command.pingIntervalMs })
      nodes.push(node)
      await keepAttached(node)
    }
  }
  await Promise.all(Array.from({ length: command.width }, worker))
}

process.on("message", (command: StormCommand) => {
  const answer = () => process.send?.(count())
  if (command.do === "start") void start(command).then(answer)
  else if (command.do === "count") answer()
  else if (command.do === "send") {
    for (const node of nodes) node.status({ after: reconnects })
    answer()
  } else {
    for (const node of nodes) node.wire?.terminate()
    answer()
  }
})
process.on("disconnect", () => process.exit(0))
