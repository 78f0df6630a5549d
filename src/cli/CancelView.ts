import { randomUUID } from "node:crypto"
import { Api } from "./Api.ts"
import { type CascadeAnswer, readCascade } from "./CascadeAnswer.ts"
import { listCascades } from "./CascadeList.ts"
import { planText, showPlan, watchCascade } from "./CascadeView.ts"
import { EXIT, usageError } from "./CliError.ts"
import type { CommonOptions } from "./CommonOptions.ts"
import { onInterrupt } from "./Interrupt.ts"
import { inOneLine, withMember } from "./JsonSlice.ts"
import { orLook } from "./LostAnswer.ts"
import { resolveNodeId } from "./NodeId.ts"
import { LISTS_OPERATIONS, noOperation, resolveOperationId } from "./OperationId.ts"
import { notice, printText, writeJsonText } from "./Output.ts"
import { readPayload, readTags, readTime } from "./OptionValues.ts"
import { askYesNo } from "./Question.ts"
import { Refusal } from "./Refusal.ts"
import { findServer } from "./ServerPlace.ts"

export interface CancelOptions extends CommonOptions {
  readonly cascade?: boolean
  readonly dryRun?: boolean
  readonly filter?: ReadonlyArray<string>
  readonly reason?: string
  readonly grace?: string
  readonly deadline?: string
  readonly detach?: boolean
  readonly yes?: boolean
  readonly action?: string
  readonly payload?: string
}

export interface CascadeOptions extends CommonOptions {
  readonly retry?: boolean
}

/** So many nodes are not asked to do anything by a slip of the fingers. */
const MANY = 50
const HOUR_MS = 3_600_000

/** What `trails cancel` exits with, besides the common codes, EXIT.failed when not all have stopped well. */
export const CANCEL_EXIT = { declined: 2 } as const

const mayAsk = (options: CancelOptions): boolean =>
  options.cascade === true &&
  options.dryRun !== true &&
  options.yes !== true &&
  process.stdin.isTTY &&
  process.stderr.isTTY

/** Whether to go on with it, over whose plan somebody has to decide; sets the exit code when not. */
const isWanted = async (plan: CascadeAnswer): Promise<boolean> => {
  if (plan.pending <= MANY) return true
  // Part of the question: stdout is for the operation.
  notice(planText(plan))
  const reply = await askYesNo("Go on? [y/N] ")
  if (reply === "yes") return true
  // The cursor stands behind the question.
  notice(reply === "no" ? "Nothing was done." : "\nNothing was done.")
  process.exitCode = reply === "interrupted" ? EXIT.interrupted : CANCEL_EXIT.declined
  return false
}

const bodyOf = async (options: CancelOptions): Promise<(more: object) => string> => {
  const graceMs = readTime(options.grace, "--grace", HOUR_MS)
  const deadlineMs = readTime(options.deadline, "--deadline", 24 * HOUR_MS, 1)
  const filter = readTags(options.filter)
  if (options.action === "cancel")
    throw usageError("A cancel is no action to be told.", "Leave --action out: trails cancel stops them without it.")
  if (options.payload !== undefined && options.action === undefined)
    throw usageError("--payload goes with --action.", "A cancel has --reason and --grace.")
  const payload = options.action === undefined ? null : await readPayload(options.payload)
  const members = {
    ...(options.reason === undefined ? {} : { reason: options.reason }),
    ...(graceMs === null ? {} : { graceMs }),
    ...(deadlineMs === null ? {} : { deadlineMs }),
    ...(filter === null ? {} : { filter }),
    ...(options.action === undefined ? {} : { action: options.action })
  }
  return (more) => {
    const all = { ...members, ...more }
    return payload === null ? JSON.stringify(all) : withMember(all, "payload", payload)
  }
}

/** Begins the operation; null when that was interrupted. */
const begin = async (api: Api, path: string, body: string): Promise<CascadeAnswer | null> => {
  const ending = new AbortController()
  const done = onInterrupt(() => ending.abort())
  try {
    return readCascade(api, await api.post(path, body, { signal: ending.signal }))
  } catch (error) {
    if (!ending.signal.aborted) throw orLook(error, "It may have begun all the same.", LISTS_OPERATIONS)
    notice(`trails: it may have begun all the same. ${LISTS_OPERATIONS}`)
    return null
  } finally {
    done()
  }
}

/** Begins an operation and stays with it to its end. */
export const cancelNode = async (id: string, options: CancelOptions): Promise<void> => {
  if (options.filter !== undefined && options.cascade !== true)
    throw usageError("--filter goes with --cascade.", "Without it the node alone is cancelled, whatever its tags are.")
  const isAsking = mayAsk(options)
  if (isAsking && options.payload === "-")
    throw usageError(
      "--payload - reads the terminal, where it is asked whether to go on.",
      "Add --yes, or write the payload: --payload '{\"rate\": 10}'."
    )
  const body = await bodyOf(options)
  const api = new Api(findServer(options.server))
  const appId = await resolveNodeId(api, id)
  const path = `apps/${appId}/cancel${options.cascade === true ? "?cascade=true" : ""}`
  if (options.dryRun === true || isAsking) {
    const plan = readCascade(api, await api.post(path, body({ dryRun: true })))
    if (options.dryRun === true) return showPlan(plan, options)
    if (!(await isWanted(plan))) return
  }
  const begun = await begin(api, path, body({ idempotencyKey: `cli:${randomUUID()}` }))
  if (begun === null) return
  if (options.detach !== true) return await watchCascade(api, begun.id ?? "", options)
  if (options.json === true) writeJsonText(inOneLine(begun.text))
  else printText(begun.id ?? "")
}

/**
 * An operation that somebody has begun, without an id the newest of them; with --retry those are asked again who could not be
 * told, or have refused.
 */
export const showCascade = async (id: string | undefined, options: CascadeOptions): Promise<void> => {
  if (id === undefined && options.retry === true)
    throw usageError("--retry goes with an operation's id.", LISTS_OPERATIONS)
  const api = new Api(findServer(options.server))
  if (id === undefined) return await listCascades(api, options)
  const operation = await resolveOperationId(api, id)
  const path = `cascades/${operation}`
  try {
    readCascade(api, await (options.retry === true ? api.post(`${path}/retry`, null) : api.get(path)))
  } catch (error) {
    throw error instanceof Refusal && error.code === "not_found" ? noOperation(operation) : error
  }
  await watchCascade(api, operation, options)
}
