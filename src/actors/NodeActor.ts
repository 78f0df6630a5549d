import { Deferred, Effect } from "effect"
import type { Decoded } from "../protocol/Frames.ts"
import type { StoreError } from "../storage/StoreError.ts"
import { capabilities } from "./node/capabilities.ts"
import { controlResult } from "./node/controlResult.ts"
import { deadlinePassed, orphaned } from "./node/deadline.ts"
import type { DataFrame } from "./node/decideData.ts"
import { declare, deleteIntent } from "./node/declare.ts"
import { deliver } from "./node/deliver.ts"
import { load } from "./node/load.ts"
import { receiveData } from "./node/message.ts"
import type { NodeCell } from "./node/NodeCell.ts"
import type { NodeEnvironment } from "./node/NodeEnvironment.ts"
import { register } from "./node/register.ts"
import { socketLost } from "./node/socketLost.ts"
import type { NodeMessage } from "./NodeMessage.ts"
import type { SessionPort } from "./SessionPort.ts"

type Data = Extract<NodeMessage, { readonly _tag: "Data" }>

/** Length of the run of data frames of one session that starts at `from`: they go into one write. */
const runLength = (batch: ReadonlyArray<NodeMessage>, from: number, session: SessionPort): number => {
  let end = from
  while (end < batch.length) {
    const message = batch[end]!
    if (message._tag !== "Data" || message.session !== session) break
    end++
  }
  return end - from
}

/** A sender that knows another epoch than this actor means that one of the two is behind: the row is read again. */
const commanded = Effect.fnUntraced(function* (env: NodeEnvironment, cell: NodeCell, epoch: number | undefined) {
  if (epoch !== undefined && cell.session !== null && cell.row !== null && cell.row.epoch !== epoch) {
    cell.row = null
    yield* load(env, cell)
  }
  yield* deliver(env, cell)
})

const dispatch = (
  env: NodeEnvironment,
  cell: NodeCell,
  message: Exclude<NodeMessage, Data>
): Effect.Effect<void, StoreError> => {
  switch (message._tag) {
    case "Register":
    case "ReRegister":
      return Effect.flatMap(register(env, cell, message), (admission) => Deferred.succeed(message.reply, admission))
    case "SocketLost":
      return socketLost(env, cell, message.session, message.cause)
    case "ControlResult":
      return controlResult(env, cell, message.session, message.decoded)
    case "Capabilities":
      return capabilities(env, cell, message.session, message.decoded.frame)
    case "Commanded":
      return commanded(env, cell, message.epoch)
    case "Declare":
      return Effect.flatMap(declare(env, cell, message), (answer) => Deferred.succeed(message.reply, answer))
    case "DeleteIntent":
      return Effect.flatMap(deleteIntent(env, cell, message), (answer) => Deferred.succeed(message.reply, answer))
    case "Deadline":
      return deadlinePassed(env, cell)
    case "Orphaned":
      return orphaned(env, cell, message.owner)
    case "Moved":
      cell.row = null
      return Effect.asVoid(load(env, cell))
  }
}

/** How far a turn has come: a turn that died goes on behind what was done (LocalActorSystem A3). */
export interface Progress {
  index: number
}

/**
 * One turn of a node's actor: works through `batch` in order, the frames of a session in runs. It awaits the database
 * only, never another actor: a pool of workers that waited for each other would stand still.
 */
export const turn: (
  env: NodeEnvironment,
  cell: NodeCell,
  batch: ReadonlyArray<NodeMessage>,
  progress: Progress
) => Effect.Effect<void, StoreError> = Effect.fnUntraced(function* (env, cell, batch, progress) {
  while (progress.index < batch.length) {
    const first = progress.index
    const message = batch[first]!
    if (message._tag !== "Data") {
      yield* dispatch(env, cell, message)
      progress.index++
      continue
    }
    const count = runLength(batch, first, message.session)
    const run: Array<Decoded<DataFrame>> = []
    for (let i = first; i < first + count; i++) run.push((batch[i] as Data).decoded)
    yield* receiveData(env, cell, message.session, run)
    progress.index += count
  }
})

/**
 * Gives back the back-pressure credit of a batch, once, however its turn ended. What one session's transport throws must
 * not cost another one its credit: it is thrown when all have theirs.
 */
export const settle = (batch: ReadonlyArray<NodeMessage>): void => {
  const defects: Array<unknown> = []
  let index = 0
  while (index < batch.length) {
    const message = batch[index]!
    if (message._tag !== "Data") {
      index++
      continue
    }
    const count = runLength(batch, index, message.session)
    let bytes = 0
    for (let i = index; i < index + count; i++) bytes += (batch[i] as Data).decoded.bytes
    try {
      message.session.settle(count, bytes)
    } catch (defect) {
      defects.push(defect)
    }
    index += count
  }
  if (defects.length > 0) throw defects[0]
}
