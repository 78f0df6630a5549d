import { parentPort, workerData } from "node:worker_threads"
import { PGlite, protocol } from "@electric-sql/pglite"
import type { Row } from "./Database.ts"
import type { PgliteAnswer, PgliteCommand, PgliteFailure, PgliteRequest } from "./PgliteMessage.ts"
import { PLANNER } from "./PgSession.ts"
import { decoderOf } from "./PgTypes.ts"

// A thread of its own: PGlite computes synchronously and would starve the event loop of trailsd (DESIGN §4).

const port = parentPort
if (port === null) throw new Error("PgliteWorker runs as a worker thread only")

const { folder } = workerData as { readonly folder: string | null }
const say = (answer: PgliteAnswer) => port.postMessage(answer)

const serialize = protocol.serialize
const prepared = new Set<string>()

const joined = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

// The statement is parsed once and kept under its name; apart from the rest, so that a refused value leaves no doubt
// whether it was.
const prepare = async (db: PGlite, request: PgliteRequest): Promise<void> => {
  if (prepared.has(request.name)) return
  await db.execProtocol(joined([serialize.parse({ name: request.name, text: request.text }), serialize.sync()]))
  prepared.add(request.name)
}

const run = async (db: PGlite, request: PgliteRequest) => {
  if (request.name === "") return db.execProtocol(serialize.query(request.text))
  await prepare(db, request)
  return db.execProtocol(
    joined([
      serialize.bind({ statement: request.name, values: [...request.params] }),
      serialize.describe({ type: "P" }),
      serialize.execute({}),
      serialize.sync()
    ])
  )
}

interface Described {
  readonly name: string
  readonly fields?: ReadonlyArray<{ readonly name: string; readonly dataTypeID: number }> | ReadonlyArray<string | null>
}

const rowsOf = (messages: ReadonlyArray<Described>): ReadonlyArray<Row> => {
  let columns: ReadonlyArray<{ readonly name: string; readonly decode: (text: string) => unknown }> = []
  let rows: Array<Row> = []
  for (const message of messages) {
    if (message.name === "rowDescription") {
      rows = []
      columns = (message.fields as ReadonlyArray<{ name: string; dataTypeID: number }>).map((field) => ({
        name: field.name,
        decode: decoderOf(field.dataTypeID)
      }))
    } else if (message.name === "dataRow") {
      const values = message.fields as ReadonlyArray<string | null>
      const row: Record<string, unknown> = {}
      columns.forEach((column, index) => {
        const value = values[index]
        row[column.name] = value === null || value === undefined ? null : column.decode(value)
      })
      rows.push(row)
    }
  }
  return rows
}

const failureOf = (thrown: unknown): PgliteFailure => {
  const { message, code, table, column, constraint } = thrown as PgliteFailure
  return { message: String(message ?? thrown), code, table, column, constraint }
}

const answer = async (db: PGlite, request: PgliteRequest): Promise<void> => {
  try {
    const { messages } = await run(db, request)
    say({ _tag: "Rows", id: request.id, rows: rowsOf(messages as unknown as ReadonlyArray<Described>) })
  } catch (error) {
    say({ _tag: "Failed", id: request.id, failure: failureOf(error) })
  }
}

try {
  const db = await PGlite.create(folder === null ? {} : { dataDir: folder })
  await db.exec(
    `set timezone = 'UTC'; set datestyle = 'ISO'; set default_transaction_isolation = 'read committed'; ${PLANNER}`
  )
  let last = Promise.resolve()
  port.on("message", (command: PgliteCommand) => {
    last = last.then(async () => {
      if (command !== "close") return answer(db, command)
      await db.close()
      say({ _tag: "Closed" })
      port.close()
    })
  })
  say({ _tag: "Ready" })
} catch (error) {
  say({ _tag: "Broken", message: failureOf(error).message })
}
