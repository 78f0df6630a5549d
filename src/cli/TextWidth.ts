/** Narrow forms of scripts that are wide otherwise. */
const NARROW = /[\uff61-\uffdc\uffe8-\uffee]/
const WIDE =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Bopomofo}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u
/** It takes no column of its own, except that it may widen the emoji before it: counted, so that no line gets too long. */
const EMOJI_STYLE = "\ufe0f"
const MARK = /\p{M}/u

const columnsOf = (character: string): number => {
  if (character < "\u0300") return 1
  if (character === EMOJI_STYLE) return 1
  if (MARK.test(character)) return 0
  return WIDE.test(character) && !NARROW.test(character) ? 2 : 1
}

/** Columns that printable text takes in a terminal, at most. */
export const textWidth = (text: string): number => {
  let width = 0
  for (const character of text) width += columnsOf(character)
  return width
}

/** At most `width` columns of it, ending in an ellipsis where something was cut. */
export const cutToWidth = (text: string, width: number): string => {
  if (textWidth(text) <= width) return text
  let kept = ""
  let used = 1
  for (const character of text) {
    used += columnsOf(character)
    if (used > width) break
    kept += character
  }
  return width < 1 ? "" : `${kept.trimEnd()}…`
}
