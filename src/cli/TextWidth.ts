/** Narrow forms of scripts that are wide otherwise. */
const NARROW = /[\uff61-\uffdc\uffe8-\uffee]/
/** What EastAsianWidth.txt (UAX 11) has as wide: by script, and by block where few of it are narrow. */
const WIDE =
  /[\p{Script=Han}\p{Script=Hangul}\p{Script=Tangut}\p{Script=Nushu}\p{Script=Khitan_Small_Script}\p{Emoji_Presentation}\u2329\u232a\u2630-\u2637\u268a-\u268f\u2e80-\u303e\u3041-\u4dff\ua000-\ua4cf\ufe10-\ufe19\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{16fff}\u{1aff0}-\u{1b2ff}\u{1d300}-\u{1d376}\u{1f200}-\u{1f265}\u{20000}-\u{3fffd}]/u
/** It takes no column of its own, except that it may widen the emoji before it: counted, so that no line gets too long. */
const EMOJI_STYLE = "\ufe0f"
/** Marks beside their letter (Mc) are left out: most terminals give them a column. */
const MARK = /[\p{Mn}\p{Me}]/u

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
