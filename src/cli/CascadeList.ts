import { Answered } from "./Answered.ts"
import type { Api } from "./Api.ts"
import { type CascadeAnswer, progressOf, readCascadeItem, resultText, titleOf, tookText } from "./CascadeAnswer.ts"
import type { CommonOptions } from "./CommonOptions.ts"
import { elementTexts, memberText } from "./JsonSlice.ts"
import { notice, printText, terminalWidth, writeJsonText } from "./Output.ts"
import { type Paint, paintFor } from "./Paint.ts"
import { cutToWidth } from "./TextWidth.ts"
import { clockText } from "./TimeText.ts"

/** Operations shown when nobody says which. */
const NEWEST = "20"

const lineOf = (cascade: CascadeAnswer, width: number | null, paint: Paint): string => {
  const { createdAt, id, isDone, now } = cascade
  const head = `${clockText(new Date(createdAt), new Date(now))}  ${id}  `
  const how = isDone ? `${resultText(cascade)} in ${tookText(cascade)}` : progressOf(cascade)
  const rest = `${titleOf(cascade)}: ${how}`
  return `${paint("gray", head)}${width === null ? rest : cutToWidth(rest, Math.max(width - head.length, 8))}`
}

/** The newest operations, the newest last: there a terminal's reader looks first. */
export const listCascades = async (api: Api, options: CommonOptions): Promise<void> => {
  const answer = await api.get("cascades", { limit: NEWEST })
  const items = Answered.of(api, answer).items()
  const texts = elementTexts(memberText(answer.text, "items") ?? "[]")
  if (options.json === true) return writeJsonText(`{"items":[${texts.join(",")}]}`)
  if (items.length === 0) return notice("There are none.")
  const paint = paintFor(process.stdout)
  const lines = items.map((item, index) =>
    lineOf(readCascadeItem(item, texts[index] ?? "{}", answer.now), terminalWidth(), paint)
  )
  printText(lines.toReversed().join("\n"))
}
