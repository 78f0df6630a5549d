import { Answered } from "./Answered.ts"
import { Api } from "./Api.ts"
import type { CommonOptions } from "./CommonOptions.ts"
import { elementTexts, memberText } from "./JsonSlice.ts"
import { stateText } from "./NodeText.ts"
import { shortId } from "./NodeId.ts"
import { notice, printText, writeJsonText } from "./Output.ts"
import { paintFor } from "./Paint.ts"
import { printableLine } from "./Printable.ts"
import { findServer } from "./ServerPlace.ts"
import { durationText } from "./TimeText.ts"

const PAGE = "500"

/** Nodes that still run although an ancestor of theirs has ended: whoever started them does not look after them any more. */
export const showOrphans = async (options: CommonOptions): Promise<void> => {
  const api = new Api(findServer(options.server))
  const paint = paintFor(process.stdout)
  const texts: Array<string> = []
  let after: string | null = null
  do {
    const answer = await api.get("orphans", { limit: PAGE, ...(after === null ? {} : { after }) })
    const page = Answered.of(api, answer)
    const items = page.items()
    texts.push(...elementTexts(memberText(answer.text, "items") ?? "[]"))
    after = page.next()
    if (options.json === true) continue
    for (const node of items) {
      const ancestor = node.object("ended_ancestor")
      const ended = ancestor.optionalText("ended_at")
      const since = ended === null ? "" : ` ${durationText(answer.now - Date.parse(ended))} ago`
      printText(
        `${paint("gray", shortId(node.id("app_id")))} ${paint("bold", printableLine(node.text("app_name")))}  ` +
          `${stateText(node.text("status"), paint)}  below ${shortId(ancestor.id("app_id"))} ` +
          `${printableLine(ancestor.text("app_name"))}, ${printableLine(ancestor.text("status"))}${since}`
      )
    }
  } while (after !== null)
  if (options.json === true) return writeJsonText(`{"items":[${texts.join(",")}]}`)
  if (texts.length === 0) return notice("There are none.")
  notice(`trails cancel --cascade ID ends one with all below it.`)
}
