import pg from "pg"
import type { NodeState } from "../../src/protocol/Frames.ts"
import type { Stored, StoredNode, StoredRow } from "./Stored.ts"

type Query = (sql: string) => Promise<ReadonlyArray<Record<string, unknown>>>

const LOG = "SELECT id, app_id, n, epoch, incarnation, seq, kind, frame FROM node_log ORDER BY id"
const STATUS = "SELECT app_id, status, epoch, n FROM node_status"

const number = (value: unknown): number => Number(value)

const toRow = (row: Record<string, unknown>): StoredRow => ({
  id: number(row.id),
  appId: String(row.app_id),
  n: number(row.n),
  epoch: number(row.epoch),
  incarnation: number(row.incarnation),
  seq: row.seq === null ? null : number(row.seq),
  kind: String(row.kind),
  frame: row.frame as string | null
})

const toNode = (row: Record<string, unknown>): StoredNode => ({
  appId: String(row.app_id),
  status: String(row.status) as NodeState,
  epoch: number(row.epoch),
  n: number(row.n)
})

const read = async (query: Query): Promise<Stored> => {
  const nodes = (await query(STATUS)).map(toNode)
  return { rows: (await query(LOG)).map(toRow), nodes: new Map(nodes.map((node) => [node.appId, node])) }
}

/** A short-lived connection of its own: the server's pool is not involved. */
export const queryPostgres = async (url: string, sql: string, params: ReadonlyArray<unknown> = []) => {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000, query_timeout: 60_000 })
  client.on("error", () => {})
  try {
    await client.connect()
    return (await client.query<Record<string, unknown>>(sql, [...params])).rows
  } finally {
    await client.end().catch(() => {})
  }
}

export const readPostgres = (url: string): Promise<Stored> => read((sql) => queryPostgres(url, sql))

const PAGE =
  "SELECT id, app_id, n, epoch, incarnation, seq, kind, frame FROM node_log WHERE id > $1 ORDER BY id LIMIT $2"

/** The log by pages of so many rows, in id order: for one that does not fit into memory. */
export async function* readLogPages(url: string, rows = 5000): AsyncGenerator<ReadonlyArray<StoredRow>> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000, query_timeout: 60_000 })
  try {
    await client.connect()
    for (let after = 0; ;) {
      const page = (await client.query<Record<string, unknown>>(PAGE, [after, rows])).rows.map(toRow)
      if (page.length === 0) return
      yield page
      after = page.at(-1)!.id
    }
  } finally {
    await client.end()
  }
}

export const readNodes = async (url: string): Promise<ReadonlyMap<string, StoredNode>> =>
  new Map((await queryPostgres(url, STATUS)).map(toNode).map((node) => [node.appId, node]))

/** Opens the embedded database itself; trailsd must have ended. */
export const readEmbedded = async (folder: string): Promise<Stored> => {
  const { PGlite } = await import("@electric-sql/pglite")
  const db = await PGlite.create(folder)
  try {
    return await read(async (sql) => (await db.query<Record<string, unknown>>(sql)).rows)
  } finally {
    await db.close()
  }
}

/** Status of each node, by id. */
export const readStates = async (url: string): Promise<ReadonlyMap<string, NodeState>> =>
  new Map((await queryPostgres(url, STATUS)).map(toNode).map((node) => [node.appId, node.status]))
