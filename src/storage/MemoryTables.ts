import { Clock, Context, Effect, Layer } from "effect"
import type { ProcessInfo } from "../protocol/Frames.ts"
import type { AuditEntry } from "./AuditLog.ts"
import type { LogEntry, LogRow } from "./LogRow.ts"
import type { Identity, NodeRow } from "./NodeRow.ts"
import type { BoundKey } from "./NodeStore.ts"

export interface MemoryReplica {
  expiresAt: number
  reaped: boolean
  verdictsHeldUntil: number
}

export interface MemoryLease {
  holder: string | null
  expiresAt: number
  cursor: number
}

/** Times are epoch milliseconds. */
export interface MemoryNode {
  row: Omit<NodeRow, "readAt">
  /** The latest Status payload. */
  snapshot: string | null
  processInfo: ProcessInfo | null
  readonly createdAt: number
  connectedAt: number | null
  disconnectedAt: number | null
  endedAt: number | null
  readonly keys: Array<BoundKey & { readonly incarnation: number }>
}

/**
 * What the memory adapters share, in place of a database: for unit tests. Each store's operation is one synchronous
 * step on it, as atomic as a transaction; Effect's clock is the database's clock.
 */
export class MemoryTables extends Context.Service<MemoryTables, Tables>()("trails/storage/MemoryTables") {
  static readonly layer: Layer.Layer<MemoryTables> = Layer.effect(
    this,
    Effect.sync(() => new Tables())
  )
}

class Tables {
  readonly nodes = new Map<string, MemoryNode>()
  readonly log: Array<LogRow> = []
  /** Ids of sealed nodes. */
  readonly seals = new Set<string>()
  readonly replicas = new Map<string, MemoryReplica>()
  readonly leases = new Map<string, MemoryLease>()
  readonly audit: Array<AuditEntry> = []
  /** When each nonce was used. */
  readonly nonces = new Map<string, number>()

  read(appId: string, now: number): NodeRow | null {
    const node = this.nodes.get(appId)
    return node === undefined ? null : { ...node.row, readAt: now }
  }

  appendLog(row: Omit<NodeRow, "readAt">, n0: number, entries: ReadonlyArray<LogEntry>, now: number): void {
    entries.forEach((entry, index) =>
      this.log.push({
        ...entry,
        id: this.log.length + 1,
        appId: row.appId,
        n: n0 + 1 + index,
        epoch: row.epoch,
        pathVersion: row.pathVersion,
        createdAt: now
      })
    )
  }

  bind(node: MemoryNode, identity: Identity, now: number): void {
    node.processInfo = identity.processInfo
    const last = node.keys.at(-1)
    if (last !== undefined && last.to === null) node.keys[node.keys.length - 1] = { ...last, to: now }
    node.keys.push({ incarnation: identity.incarnation, pubKey: identity.pubKey, from: now, to: null })
  }
}

/** One step on the tables at the database's time. */
export const step = <A>(tables: Tables, body: (tables: Tables, now: number) => A): Effect.Effect<A> =>
  Effect.map(Clock.currentTimeMillis, (now) => body(tables, now))
