import { Api } from "./Api.ts"
import type { CommonOptions } from "./CommonOptions.ts"
import { elementTexts, memberText } from "./JsonSlice.ts"
import { resolveNodeId } from "./NodeId.ts"
import { notice, printText, terminalWidth, writeJsonText } from "./Output.ts"
import { paintFor } from "./Paint.ts"
import { findServer } from "./ServerPlace.ts"
import { answerLines } from "./TreeDrawing.ts"
import { readTree } from "./TreeFeed.ts"

/** As many as a tree can give at once. */
const LIMIT = 10_000

export const showChildren = async (id: string, options: CommonOptions): Promise<void> => {
  const api = new Api(findServer(options.server))
  const { answer, now, text } = await readTree(api, await resolveNodeId(api, id), { depth: "1", limit: String(LIMIT) })
  if (options.json === true) {
    const items = elementTexts(memberText(text, "items") ?? "[]").slice(1)
    return writeJsonText(`{"items":[${items.join(",")}],"truncated":${answer.truncated}}`)
  }
  if (answer.items.length < 2) return notice("It has no children.")
  const canvas = { paint: paintFor(process.stdout), width: terminalWidth(), now }
  printText(answerLines({ ...answer, items: answer.items.slice(1) }, canvas).join("\n"))
}
