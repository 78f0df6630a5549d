import type { Seeded } from "../conformance/Seeded.ts"

/** Random JSON texts in every spelling that the grammar allows, with what a reader must find in them. */

const SPACE = ["", "", "", " ", "\n", "\t", "\r\n", "  "]
const CHARACTERS = [
  "a",
  "Z",
  "0",
  " ",
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  "é",
  "😀",
  '\\"',
  "\\\\",
  "\\/",
  "\\n",
  "\\u0041",
  "\\u0000",
  "\\ud83d\\ude00",
  "\\ud800",
  '\\\\\\"',
  "payload",
  '\\"payload\\":'
]
const NUMBERS = ["0", "-0", "1", "-12", "9007199254740993", "1.50", "1e400000", "1E-7", "2.5e+3", "-0.0"]
const WORDS = ["true", "false", "null"]

const space = (random: Seeded): string => random.pick(SPACE)

export const writeString = (random: Seeded): string =>
  `"${Array.from({ length: random.int(6) }, () => random.pick(CHARACTERS)).join("")}"`

/** A member's name: of an object inside a value it may have escapes, of a frame it must not. */
const writeName = (random: Seeded, escapes: boolean): string => {
  const name = writeString(random)
  return escapes || !name.includes("\\") ? name : `"${name.replaceAll(/\\.|["\\]/g, "_")}"`
}

/** A value that nests at most `room` levels of its own. */
export const writeValue = (random: Seeded, room: number, escapes = true): string => {
  const kind = random.int(room > 0 ? 6 : 3)
  if (kind === 0) return writeString(random)
  if (kind === 1) return random.pick(NUMBERS)
  if (kind === 2) return random.pick(WORDS)
  const items = Array.from({ length: random.int(4) }, () => {
    const value = `${space(random)}${writeValue(random, room - 1, escapes)}${space(random)}`
    return kind === 3 ? value : `${space(random)}${writeName(random, escapes)}${space(random)}:${value}`
  })
  const inside = items.length === 0 ? space(random) : items.join(",")
  return kind === 3 ? `[${inside}]` : `{${inside}}`
}

export interface Written {
  readonly text: string
  /** Exact text of each member by its name, names distinct. */
  readonly members: ReadonlyMap<string, string>
}

/** An object whose members' exact texts are known. `escapes`: in names inside its values. */
export const writeObject = (
  random: Seeded,
  fixed: ReadonlyMap<string, string> = new Map(),
  escapes = true
): Written => {
  const members = new Map(fixed)
  const spelled = [...fixed.keys()].map((name) => [JSON.stringify(name), name] as const)
  for (let count = random.int(6); count > 0; count--) {
    const spelling = writeName(random, false)
    const name = JSON.parse(spelling) as string
    if (members.has(name)) continue
    members.set(name, writeValue(random, random.int(6), escapes))
    spelled.splice(random.int(spelled.length + 1), 0, [spelling, name])
  }
  const inside = spelled.map(([spelling, name]) =>
    [space(random), spelling, space(random), ":", space(random), members.get(name), space(random)].join("")
  )
  const body = inside.length === 0 ? space(random) : inside.join(",")
  return { text: `${space(random)}{${body}}${space(random)}`, members }
}
