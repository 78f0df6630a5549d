/**
 * The yardstick: the same `ws`, the same verification on the thread pool, the same rows by the same append statement on
 * the same lanes, and nothing else. No actors, no state machine, no decoder, no checks, no back-pressure, no metrics:
 * what is left out is what trailsd costs. Forked by `ack.ts`; talks to it over IPC.
 */
import { randomUUID } from "node:crypto"
import { ManagedRuntime } from "effect"
import { type WebSocket, WebSocketServer } from "ws"
import { importPublicKey, importSeed, type PublicKey, sign, verify } from "../src/actors/Ed25519.ts"
import type { MessageFrame, RegisterFrame } from "../src/protocol/Frames.ts"
import { attachNull, attachSignature, splitSigned, TAGS } from "../src/protocol/SignedFrame.ts"
import type { LogEntry } from "../src/storage/LogRow.ts"
import type { HotState, NodeRow } from "../src/storage/NodeRow.ts"
import { NodeStore, type NodeWrite } from "../src/storage/NodeStore.ts"
import { storage } from "./storage.ts"

export interface BareStart {
  readonly port: number
  readonly databaseUrl: string | null
  readonly dataDir: string
  readonly serverSeed: string
}

/** As `StorageActor`: rows of one statement. */
const BATCH_ROWS = 400

interface Bare {
  readonly appId: string
  readonly socket: WebSocket
  readonly signed: boolean
  readonly key: PublicKey | null
  hot: HotState
  n: number
  /** Received and not under way. */
  pending: Array<LogEntry>
}

const entry = (frame: MessageFrame, raw: string): LogEntry => {
  const from = raw.indexOf('"payload":') + 10
  return {
    kind: "status",
    incarnation: 1,
    seq: frame.header.seq,
    correlationId: frame.header.correlation_id,
    frame: raw,
    payload: raw.slice(from, raw.lastIndexOf(',"sig":')),
    bytes: null,
    data: null,
    traceparent: null
  }
}

const start = async (options: BareStart): Promise<void> => {
  const runtime = ManagedRuntime.make(storage(options))
  const store = await runtime.runPromise(NodeStore)
  const secret = importSeed(Buffer.from(options.serverSeed, "base64"))
  const lanes = Array.from({ length: store.lanes }, () => ({ ready: new Set<Bare>(), busy: false }))
  const laneOf = (appId: string) => Number.parseInt(appId.slice(0, 8), 16) % lanes.length

  const tell = (node: Pick<Bare, "socket" | "signed">, frame: object) => {
    const message = JSON.stringify(frame)
    node.socket.send(node.signed ? attachSignature(message, sign(secret, TAGS.server, message)) : attachNull(message))
  }

  const writeOf = (node: Bare, rows: ReadonlyArray<LogEntry>): NodeWrite => {
    const last = rows.at(-1)!
    return {
      appId: node.appId,
      expected: { epoch: 1, n: node.n },
      writeId: randomUUID(),
      pathVersion: 1,
      path: [node.appId],
      hot: { ...node.hot, lastSeq: last.seq! },
      deadlineIn: null,
      snapshot: { seq: last.seq!, payload: last.payload! },
      rows
    }
  }

  const commit = async (index: number): Promise<void> => {
    const lane = lanes[index]!
    if (lane.busy) return
    lane.busy = true
    while (lane.ready.size > 0) {
      const nodes: Array<Bare> = []
      const writes: Array<NodeWrite> = []
      let count = 0
      for (const node of lane.ready) {
        if (count > 0 && count + node.pending.length > BATCH_ROWS) break
        count += node.pending.length
        nodes.push(node)
        writes.push(writeOf(node, node.pending))
        node.pending = []
        lane.ready.delete(node)
      }
      const outcomes = await runtime.runPromise(store.append(index, writes))
      writes.forEach((write, i) => {
        const node = nodes[i]!
        if (outcomes[i]!._tag !== "Committed") throw new Error(`not committed: ${JSON.stringify(outcomes[i])}`)
        node.n += write.rows.length
        node.hot = write.hot
        tell(node, { type: "ack", app_id: node.appId, incarnation: 1, seq: write.hot.lastSeq })
      })
    }
    lane.busy = false
  }

  const receive = (node: Bare, frame: MessageFrame, raw: string) => {
    const index = laneOf(node.appId)
    node.pending.push(entry(frame, raw))
    lanes[index]!.ready.add(node)
    if (!lanes[index]!.busy) setImmediate(() => void commit(index))
  }

  const bear = async (frame: RegisterFrame, socket: WebSocket): Promise<Bare> => {
    const signed =
      frame.info !== undefined && JSON.parse(Buffer.from(frame.info, "base64").toString()).secLevel === "signed"
    const hot: HotState = {
      status: "running",
      before: null,
      owner: null,
      session: randomUUID(),
      epoch: 1,
      incarnation: 1,
      lastSeq: 0,
      rebinds: 0
    }
    const born = await runtime.runPromise(
      store.birth({
        appId: frame.app_id,
        parentId: null,
        replaces: null,
        writeId: randomUUID(),
        decide: () => ({
          _tag: "Bear",
          birth: {
            appName: frame.app_name,
            namespace: "default",
            level: signed ? "signed" : "open",
            envelope: null,
            originator: null,
            roleRefs: [],
            grants: [],
            tags: null,
            supervision: { onParentExit: "abandon", onCrash: "notify", restarts: 0 },
            childKey: null,
            ticketHash: null,
            traceparent: null,
            startDeadline: 0,
            scheduledAt: Date.now(),
            hot,
            deadlineIn: null,
            outcome: null,
            identity: {
              incarnation: 1,
              pubKey: frame.child_pub_key,
              processInfo: frame.process_info,
              capabilities: [],
              cancelGraceMs: null
            },
            rows: [
              {
                kind: "connected",
                incarnation: 1,
                seq: null,
                correlationId: null,
                frame: null,
                payload: null,
                bytes: null,
                data: null,
                traceparent: null
              }
            ]
          }
        })
      })
    )
    const row = (born as { readonly row: NodeRow }).row
    return {
      appId: frame.app_id,
      socket,
      signed,
      key: signed ? importPublicKey(frame.child_pub_key) : null,
      hot,
      n: row.n,
      pending: []
    }
  }

  const server = new WebSocketServer({
    port: options.port,
    host: "127.0.0.1",
    perMessageDeflate: false,
    maxPayload: 1 << 20
  })
  server.on("connection", (socket) => {
    let node: Bare | null = null
    const order: Array<{ frame: MessageFrame; raw: string; good: boolean | null }> = []
    const nonce = randomUUID()
    socket.send(
      attachNull(
        JSON.stringify({ type: "hello", nonce, server_pub_key: secret.text, server_time: Date.now(), level: "open" })
      )
    )
    socket.on("message", (data: Buffer) => {
      const raw = data.toString()
      const frame = JSON.parse(raw) as MessageFrame | RegisterFrame
      if (frame.type === "register") {
        void bear(frame, socket).then((bare) => {
          node = bare
          tell(bare, {
            type: "registered",
            app_id: bare.appId,
            parent_id: null,
            child_pub_key: frame.child_pub_key,
            server_pub_key: secret.text,
            nonce,
            client_nonce: frame.client_nonce,
            incarnation: 1,
            epoch: 1,
            session: bare.hot.session,
            last_seq: 0,
            limits: { max_frame: 1 << 20, max_in_flight: 1000, max_in_flight_bytes: 1 << 24 },
            ping_interval_ms: 0
          })
        })
        return
      }
      const bare = node!
      if (bare.key === null) return receive(bare, frame, raw)
      const parts = splitSigned(raw)!
      const slot = { frame, raw, good: null as boolean | null }
      order.push(slot)
      verify(bare.key, TAGS.child, parts.message, parts.signature, (good) => {
        slot.good = good
        while (order.length > 0 && order[0]!.good !== null) {
          const first = order.shift()!
          if (first.good) receive(bare, first.frame, first.raw)
        }
      })
    })
  })
  server.on("listening", () => process.send?.("ready"))
}

process.on("message", (options: BareStart) => void start(options))
process.on("disconnect", () => process.exit(0))
