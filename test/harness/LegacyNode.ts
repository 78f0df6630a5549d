import { randomUUID } from "node:crypto"
import type { MsgType, ServerFrame } from "../../src/protocol/Frames.ts"
import type { Ledger, LedgerEntry } from "./Ledger.ts"
import type { Wire } from "./Wire.ts"

/**
 * A legacy client (PROTOCOL §3): no subprotocol, no `hello`, opaque key, `sig: null`, none of the members of version 1,
 * one ack per data frame.
 */
export class LegacyNode implements Ledger {
  readonly appId = randomUUID()
  readonly key = Buffer.from(randomUUID()).toString("base64")
  readonly entries: Array<LedgerEntry> = []
  readonly received: Array<ServerFrame> = []
  wire: Wire | null = null
  seq = 0

  get inFlight(): number {
    return this.entries.filter((entry) => !entry.acked && entry.refused === null).length
  }

  async register(wire: Wire, name = "legacy", parentId: string | null = null): Promise<ServerFrame> {
    return await this.#attach(wire, {
      type: "register",
      app_id: this.appId,
      parent_id: parentId,
      app_name: name,
      child_pub_key: this.key,
      process_info: {
        pid: 7,
        ppid: 1,
        uid: 0,
        gid: 0,
        user: null,
        hostname: "old",
        node_name: null,
        pod_ip: null,
        namespace: null,
        start_time: Date.now(),
        executable: "/usr/bin/python3"
      },
      role_refs: [],
      sig: null
    })
  }

  async reRegister(wire: Wire): Promise<ServerFrame> {
    return await this.#attach(wire, {
      type: "re_register",
      app_id: this.appId,
      last_seq: this.seq,
      pub_key: this.key,
      sig: null
    })
  }

  message(msgType: MsgType, payload: unknown): number {
    const seq = ++this.seq
    const text = JSON.stringify({
      type: "message",
      app_id: this.appId,
      header: { msg_type: msgType, timestamp: Date.now(), seq, correlation_id: null },
      payload,
      sig: null
    })
    this.entries.push({ incarnation: 1, seq, kind: msgType, text, acked: false, refused: null })
    this.wire?.send(text)
    return seq
  }

  disconnect(reason: string): void {
    this.wire?.send(JSON.stringify({ type: "disconnect", app_id: this.appId, reason, sig: null }))
  }

  /** Sends one frame again, as these clients do out of order. */
  again(seq: number): void {
    const entry = this.entries.find((one) => one.seq === seq)
    if (entry !== undefined) this.wire?.send(entry.text)
  }

  async #attach(wire: Wire, frame: object): Promise<ServerFrame> {
    this.wire = wire
    const answer = wire.receive(
      "an answer to the legacy client",
      (one) => one.type === "registered" || one.type === "error"
    )
    wire.send(JSON.stringify(frame))
    const { frame: first } = await answer
    wire.listen(this.appId, ({ frame: next }) => {
      this.received.push(next)
      if (next.type !== "ack" && next.type !== "error") return
      const entry = this.entries.find((one) => one.seq === next.seq)
      if (entry === undefined) return
      if (next.type === "ack") entry.acked = true
      else if (!next.retryable) entry.refused = next.code
    })
    return first
  }
}
