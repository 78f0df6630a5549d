/**
 * Exact slices of valid JSON text: JSON.parse would round the numbers of a payload, and a result is passed on as it came.
 * Call it on what JSON.parse has accepted.
 */

/** The place behind the string whose opening quote is at `at`. */
const behindString = (text: string, at: number): number => {
  let end = at + 1
  while (text[end] !== '"') end += text[end] === "\\" ? 2 : 1
  return end + 1
}

/** Places of the value's members or elements: [from, to) of each, between the outermost braces or brackets. */
const parts = (text: string): ReadonlyArray<readonly [from: number, to: number]> => {
  const found: Array<readonly [number, number]> = []
  let depth = 0
  let from = 0
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (character === '"') at = behindString(text, at) - 1
    else if (character === "{" || character === "[") {
      if (++depth === 1) from = at + 1
    } else if (character === "}" || character === "]") {
      if (--depth === 0 && text.slice(from, at).trim() !== "") found.push([from, at])
    } else if (character === "," && depth === 1) {
      found.push([from, at])
      from = at + 1
    }
  }
  return found
}

/** An object's text with one more member, whose text is kept. */
export const withMember = (members: object, name: string, text: string): string =>
  `${JSON.stringify(members).slice(0, -1)},${JSON.stringify(name)}:${text}}`

/** The text of each element of an array. */
export const elementTexts = (array: string): ReadonlyArray<string> =>
  parts(array).map(([from, to]) => array.slice(from, to).trim())

/** The text of an object's member; null when it has none of that name. Of several the last one, as JSON.parse has it. */
export const memberText = (object: string, name: string): string | null => {
  let value: string | null = null
  for (const [from, to] of parts(object)) {
    const start = object.indexOf('"', from)
    const end = behindString(object, start)
    if (JSON.parse(object.slice(start, end)) === name) value = object.slice(object.indexOf(":", end) + 1, to).trim()
  }
  return value
}

/** In one line, for output of one document a line: outside of strings a line break is but white space. */
export const inOneLine = (text: string): string => text.replace(/[\r\n]+/g, " ")
