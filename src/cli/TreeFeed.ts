import { setTimeout as delay } from "node:timers/promises"
import { Answered } from "./Answered.ts"
import type { Api, ApiAnswer } from "./Api.ts"
import { CliError, EXIT } from "./CliError.ts"
import type { LongPoll } from "./LongPoll.ts"
import { readTreeAnswer, type TreeAnswer } from "./TreeAnswer.ts"
import { hasEnded } from "./TreeRow.ts"

/** Trees shown when nobody says which. */
const NEWEST = 20
/** How often new roots are looked for. */
const ROOTS_MS = 2000

/** A tree with the exact text of its nodes, and the server's clock when it was read. */
export interface ReadTree {
  readonly answer: TreeAnswer
  readonly text: string
  readonly now: number
}

const treeOf = (api: Api, answer: ApiAnswer): ReadTree => ({
  answer: readTreeAnswer(api, answer),
  text: answer.text,
  now: answer.now
})

const isOver = ({ answer }: ReadTree): boolean => answer.items.every((row) => hasEnded(row.status))

/** The tree below one node. */
export const readTree = async (
  api: Api,
  appId: string,
  query: Readonly<Record<string, string>> = {}
): Promise<ReadTree> => treeOf(api, await api.get(`apps/${appId}/tree`, query))

const rootIds = (api: Api, answer: ApiAnswer): ReadonlyArray<string> =>
  Answered.of(api, answer)
    .items()
    .map((item) => item.id("app_id"))

const ROOTS = { roots: "true", order: "newest", limit: String(NEWEST) }

/** The newest trees, the newest last: there a terminal's reader looks first. */
export const readNewest = async (api: Api): Promise<ReadonlyArray<ReadTree>> => {
  const ids = rootIds(api, await api.get("apps", ROOTS))
  return (await Promise.all(ids.map((appId) => readTree(api, appId)))).reverse()
}

/** Nodes that a tree can give at once. */
const MOST = "10000"

/** Calls `changed` with the tree now and after each change, until all of it has ended, or for as long as it is asked to. */
export const followTree = async (
  poll: LongPoll,
  appId: string,
  changed: (tree: ReadTree) => void,
  signal: AbortSignal,
  endless = false
): Promise<void> => {
  const path = `apps/${appId}/tree`
  let cursor: string | null = null
  while (!signal.aborted) {
    let answer: ApiAnswer | null
    try {
      answer = cursor === null ? await poll.once(path, {}, signal) : await poll.piece(path, { after: cursor }, signal)
    } catch (error) {
      // After a restart on other data the cursor is nobody's: the tree is read anew, or is not there any more.
      if (cursor === null || !(error instanceof CliError) || error.exitCode !== EXIT.usage) throw error
      cursor = null
      continue
    }
    if (answer === null) return
    const tree = treeOf(poll.api, answer)
    cursor = tree.answer.cursor
    if (tree.answer.unchanged) continue
    changed(tree)
    if (endless || !isOver(tree)) continue
    if (!tree.answer.truncated) return
    // What was left out may be at work still. Of a tree that can't be read as a whole nobody knows that it has ended.
    const whole = await poll.once(path, { limit: MOST }, signal)
    if (whole === null) return
    const all = treeOf(poll.api, whole)
    if (isOver(all) && !all.answer.truncated) return
  }
}

/** Calls `changed` with the newest trees now and after each change in one of them, until it is aborted. */
export const followNewest = async (
  poll: LongPoll,
  changed: (trees: ReadonlyArray<ReadTree>) => void,
  signal: AbortSignal
): Promise<void> => {
  const trees = new Map<string, ReadTree>()
  const followed = new Map<string, AbortController>()
  let shown: ReadonlyArray<string> | null = null
  let failure: unknown = null
  const tell = () => {
    // Not before all of them are read for the first time.
    if (shown?.every((appId) => trees.has(appId))) changed(shown.flatMap((appId) => trees.get(appId) ?? []).reverse())
  }
  const follow = (appId: string) => {
    const ending = new AbortController()
    followed.set(appId, ending)
    const keep = (tree: ReadTree) => {
      trees.set(appId, tree)
      tell()
    }
    // One that has ended as well: who was given up for lost may come back, and a root may get children after its end.
    followTree(poll, appId, keep, AbortSignal.any([signal, ending.signal]), true).catch(
      (error: unknown) => (failure = error)
    )
  }
  while (!signal.aborted) {
    const answer = await poll.once("apps", ROOTS, signal)
    if (failure !== null) throw failure
    if (answer === null) return
    const ids = rootIds(poll.api, answer)
    const differs = ids.join() !== shown?.join()
    shown = ids
    for (const [appId, ending] of followed) {
      if (ids.includes(appId)) continue
      ending.abort()
      followed.delete(appId)
      trees.delete(appId)
    }
    for (const appId of ids) if (!followed.has(appId)) follow(appId)
    if (differs) tell()
    await delay(ROOTS_MS, null, { signal }).catch(() => null)
  }
}
