import { randomUUID } from "node:crypto"
import type { TreeEvent, TreeEventData } from "../../src/protocol/TreeEvent.ts"
import { type Keypair, makeKeypair, seal } from "../harness/Keypair.ts"
import { makeEnvelope } from "../harness/TestEnvelope.ts"

const nonce = Buffer.alloc(32, 7).toString("base64")

/** A node, the server that has registered it, and events about it as trailsd makes them. */
export class EventMaker {
  readonly server: Keypair
  readonly keys = makeKeypair()
  readonly appId: string
  readonly path: ReadonlyArray<string>
  #n = 0

  constructor(parent: EventMaker | null = null, server: Keypair = parent?.server ?? makeKeypair()) {
    this.server = server
    this.appId = randomUUID()
    this.path = [...(parent?.path ?? []), this.appId]
  }

  get parentId(): string | null {
    return this.path.at(-2) ?? null
  }

  event(kind: string, frame: string | undefined, patch: Partial<TreeEventData> = {}): TreeEvent {
    const data: TreeEventData = {
      app_id: this.appId,
      parent_id: this.parentId,
      root_id: this.path[0]!,
      path: this.path,
      app_name: "node",
      namespace: "default",
      kind,
      incarnation: 1,
      epoch: 1,
      n: ++this.#n,
      seq: null,
      correlation_id: null,
      facts: null,
      ...(frame === undefined ? {} : { frame }),
      ...patch
    }
    return {
      specversion: "1.0",
      id: `${data.app_id}:${data.n}`,
      source: `urn:uuid:${data.root_id}`,
      type: `io.trails.node.${data.kind}`,
      subject: data.app_id,
      time: "2026-11-29T00:00:00.000Z",
      datacontenttype: "application/json",
      data
    }
  }

  registeredFrame(signer: Keypair = this.server, incarnation = 1, key = this.keys.text, only?: "cancel"): string {
    const frame = {
      type: "registered",
      app_id: this.appId,
      parent_id: this.parentId,
      child_pub_key: key,
      server_pub_key: this.server.text,
      nonce,
      client_nonce: nonce,
      incarnation,
      epoch: 1,
      session: randomUUID(),
      last_seq: 0,
      ...(only === undefined ? {} : { only }),
      limits: { max_frame: 1, max_in_flight: 1, max_in_flight_bytes: 1 },
      ping_interval_ms: 0
    }
    return seal("trails.v1.server", JSON.stringify(frame), signer.secretKey)
  }

  connected(...frame: Parameters<EventMaker["registeredFrame"]>): TreeEvent {
    return this.event("connected", this.registeredFrame(...frame), { incarnation: frame[1] ?? 1 })
  }

  /** A frame of this kind by the node, or by whoever signs it. */
  childFrame(type: string, members: Readonly<Record<string, unknown>>, signer: Keypair = this.keys): string {
    const text = JSON.stringify({ type, app_id: this.appId, incarnation: 1, ...members })
    return seal("trails.v1.child", text, signer.secretKey)
  }

  messageFrame(msg_type: string, seq: number, correlation_id: string | null = null): string {
    const header = { msg_type, timestamp: 1, seq, correlation_id }
    return this.childFrame("message", { start_day: 690, header, payload: {} })
  }

  /** The server's frame that tells the node a command. */
  controlFrame(patch: Readonly<Record<string, unknown>> = {}, signer: Keypair = this.server): string {
    const frame = {
      type: "control",
      app_id: this.appId,
      incarnation: 1,
      session: randomUUID(),
      epoch: 1,
      action: "set_rate",
      correlation_id: "c-1",
      payload: {},
      issued_by: "admin",
      issued_at: 1,
      expires_at: 2,
      ...patch
    }
    return seal("trails.v1.server", JSON.stringify(frame), signer.secretKey)
  }

  statusFrame(seq: number, payload: string, signer: Keypair = this.keys, incarnation = 1): string {
    const text =
      `{"type":"message","app_id":"${this.appId}","incarnation":${incarnation},"start_day":690,"header":{"msg_type":"Status",` +
      `"timestamp":1,"seq":${seq},"correlation_id":null},"payload":${payload}}`
    return seal("trails.v1.child", text, signer.secretKey)
  }

  status(seq: number, payload = "{}", signer: Keypair = this.keys): TreeEvent {
    return this.event("status", this.statusFrame(seq, payload, signer), { seq })
  }

  /** Its envelope, with a ticket by its parent. */
  envelope(issuer: Keypair, childKey: string | null = this.keys.text): string {
    const fields = {
      appId: this.appId,
      parentId: this.parentId,
      serverEp: "ws://localhost/ws",
      serverPubKey: this.server.text,
      secLevel: "signed" as const,
      ...(childKey === null ? {} : { childKey })
    }
    return makeEnvelope(fields, issuer).info
  }
}
