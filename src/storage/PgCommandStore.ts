import { Effect, Layer } from "effect"
import { isFinal } from "../protocol/Final.ts"
import type { NodeState } from "../protocol/Frames.ts"
import { type CommandRow, CommandStore, type NewCommand, OPEN_ANSWER_BYTES, type Sent } from "./CommandStore.ts"
import { Database, type Row } from "./Database.ts"
import { pgOptionalText, pgText } from "./PgText.ts"
import {
  expireCommands,
  expireEnded,
  expireLeft,
  knownCommand,
  lastEnd,
  listCommands,
  listOpenCommands,
  openCommands,
  readCommand,
  sendCommand,
  throughCommands,
  untoldNodes
} from "./sql/commands.ts"

const as = (rows: ReadonlyArray<Row>): ReadonlyArray<CommandRow> =>
  rows as ReadonlyArray<unknown> as ReadonlyArray<CommandRow>

const placeOf = (row: Row) => ({ owner: row["owner"] as string | null, epoch: row["epoch"] as number })

/** `CommandStore` on SQL, the same for Postgres and PGlite. */
export const layer: Layer.Layer<CommandStore, never, Database> = Layer.effect(
  CommandStore,
  Effect.gen(function* () {
    const database = yield* Database

    /** It was not sent: the same key is there already, or this very command by an attempt whose answer was lost. */
    const known = Effect.fnUntraced(function* (command: NewCommand) {
      const { appId, correlationId, idempotencyKey, issuedBy } = command
      const [row] = yield* database.query(knownCommand, [
        appId,
        pgText(issuedBy),
        pgOptionalText(idempotencyKey),
        correlationId
      ])
      if (row === undefined) return { _tag: "Unknown" } as Sent
      const found = row as unknown as CommandRow & { readonly id: number | null }
      const status = row["status"] as NodeState
      if (found.id === null) return (isFinal(status) ? { _tag: "Ended", status } : { _tag: "Full" }) as Sent
      return (
        found.correlationId === correlationId
          ? { _tag: "Queued", row: found, ...placeOf(row) }
          : { _tag: "Known", row: found }
      ) as Sent
    })

    return {
      send: Effect.fnUntraced(function* (command) {
        const { action, appId, correlationId, idempotencyKey, issuedBy, payload, traceparent, ttlMs } = command
        const [row] = yield* database.query(sendCommand, [
          appId,
          correlationId,
          pgText(action),
          payload,
          pgText(issuedBy),
          pgOptionalText(idempotencyKey),
          pgOptionalText(traceparent),
          ttlMs
        ])
        if (row === undefined) return yield* known(command)
        return { _tag: "Queued", row: row as unknown as CommandRow, ...placeOf(row) } as const
      }),
      read: (appId, correlationId) =>
        Effect.map(database.query(readCommand, [appId, correlationId]), (rows) => as(rows)[0] ?? null),
      through: (commands) => Effect.map(database.query(throughCommands, [JSON.stringify(commands)]), as),
      list: (appId, { after, limit }, open) =>
        Effect.map(database.query(open ? listOpenCommands : listCommands, [appId, after, limit]), as),
      open: (requests) =>
        Effect.map(database.query(openCommands, [JSON.stringify(requests)]), (rows) => {
          const bytes = rows.reduce((sum, row) => sum + (row["bytes"] as number), 0)
          return {
            commands: Map.groupBy(as(rows), (row) => row.appId),
            answered: bytes < OPEN_ANSWER_BYTES ? requests.length : (rows.at(-1)?.["place"] as number)
          }
        }),
      untold: (boot, after, limit) =>
        Effect.map(database.query(untoldNodes, [boot, after, limit]), (rows) =>
          rows.map((row) => row["appId"] as string)
        ),
      expire: (limit) => Effect.map(database.query(expireCommands, [limit]), (rows) => rows.length),
      expireEnded: (after, limit) =>
        Effect.map(database.query(expireEnded, [after, limit]), ([row]) => ({
          upTo: row?.["upTo"] as number,
          more: row?.["more"] === true
        })),
      lastEnd: Effect.map(database.query(lastEnd, []), ([row]) => row?.["id"] as number),
      expireLeft: (limit) => Effect.map(database.query(expireLeft, [limit]), (rows) => rows.length)
    }
  })
)
