import { Api } from "./Api.ts"
import type { CommonOptions } from "./CommonOptions.ts"
import { elementTexts, inOneLine, memberText } from "./JsonSlice.ts"
import { onInterrupt } from "./Interrupt.ts"
import { LiveScreen } from "./LiveScreen.ts"
import { LongPoll } from "./LongPoll.ts"
import { resolveNodeId } from "./NodeId.ts"
import { notice, printText, terminalWidth, writeJsonText } from "./Output.ts"
import { paintFor } from "./Paint.ts"
import { findServer } from "./ServerPlace.ts"
import { cutToWidth } from "./TextWidth.ts"
import { answerLines } from "./TreeDrawing.ts"
import { followNewest, followTree, type ReadTree, readNewest, readTree } from "./TreeFeed.ts"

export interface TreeOptions extends CommonOptions {
  readonly watch?: boolean
}

const NONE = 'No nodes yet. Try: trails run --name hello -- sh -c "sleep 5"'

const linesOf = (trees: ReadonlyArray<ReadTree>, width: number | null, aheadMs: number): ReadonlyArray<string> =>
  trees.flatMap(({ answer, now }) =>
    answerLines(answer, { paint: paintFor(process.stdout), width, now: now + aheadMs })
  )

/** Nodes as the server wrote them, of all trees in one document. */
const jsonOf = (trees: ReadonlyArray<ReadTree>): string => {
  const items = trees.flatMap(({ text }) => elementTexts(memberText(text, "items") ?? "[]"))
  const total = trees.reduce((sum, { answer }) => sum + (answer.total ?? answer.items.length), 0)
  const truncated = trees.some(({ answer }) => answer.truncated)
  return `{"items":[${items.join(",")}],"truncated":${truncated},"total":${total}}`
}

const showOnce = (trees: ReadonlyArray<ReadTree>, options: TreeOptions): void => {
  if (options.json === true) return writeJsonText(jsonOf(trees))
  if (trees.length === 0) return notice(NONE)
  printText(linesOf(trees, terminalWidth(), 0).join("\n"))
}

/** Draws again upon each change, and once a second while durations grow. */
const watchOnTerminal = async (
  follow: (changed: (trees: ReadonlyArray<ReadTree>) => void, told: (text: string) => void) => Promise<void>
): Promise<void> => {
  let trees: ReadonlyArray<ReadTree> = []
  let readAt = performance.now()
  let note = ""
  const draw = () => {
    const lines = linesOf(trees, screen.width, performance.now() - readAt)
    screen.draw([...(lines.length === 0 ? [NONE] : lines), ...(note === "" ? [] : [cutToWidth(note, screen.width)])])
  }
  const screen = new LiveScreen(process.stdout, draw)
  const ticking = setInterval(draw, 1000)
  try {
    await follow(
      (changed) => {
        trees = changed
        readAt = performance.now()
        draw()
      },
      (text) => {
        note = text
        draw()
      }
    )
  } finally {
    clearInterval(ticking)
    screen.stop()
  }
}

export const showTree = async (id: string | undefined, options: TreeOptions): Promise<void> => {
  const api = new Api(findServer(options.server))
  const appId = id === undefined ? null : await resolveNodeId(api, id)
  if (options.watch !== true) {
    return showOnce(appId === null ? await readNewest(api) : [await readTree(api, appId)], options)
  }
  const ending = new AbortController()
  const follow = async (changed: (trees: ReadonlyArray<ReadTree>) => void, told: (text: string) => void) => {
    const poll = new LongPoll(api, told)
    await (appId === null
      ? followNewest(poll, changed, ending.signal)
      : followTree(poll, appId, (tree) => changed([tree]), ending.signal))
  }
  const ended = onInterrupt(() => ending.abort())
  if (process.stdout.isTTY && options.json !== true) await watchOnTerminal(follow)
  else {
    await follow((trees) => {
      if (options.json === true) writeJsonText(inOneLine(jsonOf(trees)))
      else printText(`${linesOf(trees, null, 0).join("\n")}\n`)
    }, notice)
  }
  ended()
}
