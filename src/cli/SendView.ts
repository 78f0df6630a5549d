import { randomUUID } from "node:crypto"
import { CORRELATION_ID } from "../protocol/Limits.ts"
import { Api } from "./Api.ts"
import { CliError, usageError, withRemedy } from "./CliError.ts"
import { type CommandAnswer, isThrough, readCommand } from "./CommandAnswer.ts"
import type { CommonOptions } from "./CommonOptions.ts"
import { onInterrupt } from "./Interrupt.ts"
import { inOneLine, withMember } from "./JsonSlice.ts"
import { LongPoll } from "./LongPoll.ts"
import { orLook } from "./LostAnswer.ts"
import { resolveNodeId, shortId } from "./NodeId.ts"
import { notice, printText, writeJsonText } from "./Output.ts"
import { readPayload, readTime } from "./OptionValues.ts"
import { printableLine } from "./Printable.ts"
import { findServer } from "./ServerPlace.ts"

export interface SendOptions extends CommonOptions {
  readonly payload?: string
  readonly ttl?: string
  readonly wait?: boolean
  readonly timeout?: string
  readonly idempotencyKey?: string
}

/** What `trails send --wait` exits with, besides the common codes. */
export const SEND_EXIT = { acked: 0, refused: 1, timeout: 3, expired: 5 } as const

const TTL_MS = 7 * 24 * 3_600_000
const DAY_MS = 24 * 3_600_000

const exitOf = (command: CommandAnswer): number =>
  command.state === "expired" ? SEND_EXIT.expired : command.ack ? SEND_EXIT.acked : SEND_EXIT.refused

const how = (command: CommandAnswer): string => {
  const { ack, action, appId, error, state } = command
  const name = `${printableLine(action)} of ${shortId(appId)}`
  if (state === "expired")
    return error === "ended"
      ? `trails: ${name} was not answered: the node has ended`
      : `trails: ${name} has expired: nobody answered it in its time`
  if (ack) return ""
  const look = error === "unknown_action" ? `. trails status ${shortId(appId)} shows which actions it takes` : ""
  return `trails: ${name} was refused: ${printableLine(error ?? "")}${look}`
}

/** The command when it is through; as it stands when the time is over, or when it was called off. */
const waitFor = async (poll: LongPoll, command: CommandAnswer, signal: AbortSignal): Promise<CommandAnswer> => {
  let last = command
  while (!isThrough(last) && !poll.isOver && !signal.aborted) {
    const answer = await poll.piece(`apps/${command.appId}/commands/${command.correlationId}`, {}, signal)
    if (answer === null) return last
    last = readCommand(poll.api, answer)
  }
  return last
}

const ask = (command: CommandAnswer): string =>
  `trails commands ${shortId(command.appId)} shows what becomes of ${command.correlationId}.`

/** Queues the command; null when that was interrupted. */
const queue = async (
  api: Api,
  appId: string,
  body: string,
  key: string,
  signal: AbortSignal
): Promise<CommandAnswer | null> => {
  try {
    return readCommand(api, await api.post(`apps/${appId}/control`, body, { signal }))
  } catch (error) {
    const look = `trails commands ${shortId(appId)} shows it then; with --idempotency-key ${key} it runs once, however often it is sent.`
    if (!signal.aborted) throw orLook(error, "The command may be queued all the same.", look)
    notice(`trails: the command may be queued all the same. ${look}`)
    return null
  }
}

/** Tells a node something, and with --wait prints what it answers, exactly. */
export const sendCommand = async (id: string, action: string, options: SendOptions): Promise<void> => {
  if (action === "cancel")
    throw usageError(
      "A cancel has a way of its own.",
      `trails cancel ${printableLine(id)}, or with all below it: --cascade.`
    )
  if (options.timeout !== undefined && options.wait !== true)
    throw usageError(
      "--timeout goes with --wait.",
      "Without it nobody waits for the answer; --ttl says how long the command is good."
    )
  const ttlMs = readTime(options.ttl, "--ttl", TTL_MS, 1)
  const timeoutMs = readTime(options.timeout, "--timeout", DAY_MS)
  const key = options.idempotencyKey
  if (key !== undefined && (key === "" || Buffer.byteLength(key) > CORRELATION_ID))
    throw usageError(`--idempotency-key takes 1 to ${CORRELATION_ID} bytes.`, "A name and a date will do.")
  const payload = await readPayload(options.payload)
  const api = new Api(findServer(options.server), timeoutMs ?? Number.POSITIVE_INFINITY)
  const appId = await resolveNodeId(api, id)
  // The same command if the first answer gets lost, and no other.
  const idempotencyKey = key ?? `cli:${randomUUID()}`
  const members = { action, ...(ttlMs === null ? {} : { ttlMs }), idempotencyKey }
  const ending = new AbortController()
  const done = onInterrupt(() => ending.abort())
  const body = withMember(members, "payload", payload)
  const sent = await queue(api, appId, body, idempotencyKey, ending.signal)
  if (sent === null || options.wait !== true) {
    done()
    if (sent === null) return
    if (options.json === true) writeJsonText(inOneLine(sent.text))
    else printText(sent.correlationId)
    return
  }
  const command = await waitFor(new LongPoll(api, notice, true), sent, ending.signal).catch((error: unknown) => {
    throw withRemedy(error, ask(sent))
  })
  done()
  if (options.json === true) writeJsonText(inOneLine(command.text))
  if (!isThrough(command)) {
    if (!ending.signal.aborted)
      throw new CliError("It was not answered in time, and may be yet.", SEND_EXIT.timeout, ask(command))
    return notice(`trails: it goes on. ${ask(command)}`)
  }
  if (options.json !== true && command.ack) writeJsonText(command.resultText)
  const said = how(command)
  if (said !== "") notice(said)
  process.exitCode = exitOf(command)
}
