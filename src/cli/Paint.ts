import { styleText } from "node:util"

type Style = Parameters<typeof styleText>[0]

/** Colours a piece of text, or gives it as it is. */
export type Paint = (style: Style, text: string) => string

export const plain: Paint = (_style, text) => text

/** Colours on a terminal only; NO_COLOR, NODE_DISABLE_COLORS and FORCE_COLOR decide otherwise. */
export const paintFor =
  (stream: NodeJS.WriteStream): Paint =>
  (style, text) =>
    text === "" ? "" : styleText(style, text, { stream })

export const STATE_STYLE: Readonly<Record<string, { readonly symbol: string; readonly style: Style }>> = {
  scheduled: { symbol: "○", style: "gray" },
  connected: { symbol: "●", style: "cyan" },
  running: { symbol: "●", style: "blue" },
  done: { symbol: "✓", style: "green" },
  error: { symbol: "✗", style: "red" },
  crashed: { symbol: "✗", style: ["bold", "red"] },
  lost_contact: { symbol: "✗", style: ["bold", "red"] },
  start_failed: { symbol: "✗", style: "magenta" },
  cancelled: { symbol: "⊘", style: "yellow" },
  reconnecting: { symbol: "◌", style: "yellow" }
}
