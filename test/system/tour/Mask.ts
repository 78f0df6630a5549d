/** What differs from run to run, and what stands for it. Memory is missing where a command was too short for a sample. */
const MASKS: ReadonlyArray<readonly [RegExp, string]> = [
  [/,"peak_rss_kb":\d+/g, ""],
  [/ · \d+(?:\.\d+)? MiB/g, ""],
  [/"(pid|duration_ms)":\d+/g, '"$1":N'],
  [/\S+ pid \d+/g, "HOST pid N"],
  [/^\[\d+\] \d+$/, "[job] N"],
  [/\b\d\d:\d\d:\d\d\b/g, "CLOCK"],
  [/\bed25519:[\w+/]+=*/g, "KEY"],
  [/\b\d+(?:\.\d+)?(?:ms|s)\b|\b\d+m\d\ds\b/g, "TIME"]
]

/** An id, or the digits of it that are shown. */
const ID = /\b[0-9a-f]{8}(?:(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})?\b/g
const BRANCH = /^((?:│ {2}| {3})*)[├└]─ /

const masked = (line: string): string => MASKS.reduce((text, [what, name]) => text.replace(what, name), line)

/** Siblings that started together come in any order: by name they come in one. */
const inOrder = (lines: ReadonlyArray<string>): ReadonlyArray<string> => {
  const sorted: Array<string> = []
  let leaves: Array<string> = []
  const flush = () => {
    sorted.push(...leaves.toSorted((a, b) => a.replace(ID, "").localeCompare(b.replace(ID, ""))))
    leaves = []
  }
  const depth = (line: string | undefined): number => BRANCH.exec(line ?? "")?.[1]?.length ?? -1
  for (const line of lines) {
    if (depth(line) === -1 || (leaves.length > 0 && depth(leaves[0]) !== depth(line))) flush()
    if (depth(line) === -1) sorted.push(line)
    else leaves.push(line.replace(BRANCH, "$1├─ "))
  }
  flush()
  return sorted
}

/** Ids of the text and of the screen that mean the same node, by their first eight digits. */
export class Mask {
  readonly #toScreen = new Map<string, string>()
  readonly #toText = new Map<string, string>()

  /** A command of the text as it has to be typed. */
  typed(command: string): string {
    return command.replace(ID, (id) => this.#toScreen.get(id) ?? id)
  }

  /** A line of the screen for the text. */
  written(line: string): string {
    return line.replace(ID, (id) => (this.#toText.get(id.slice(0, 8)) ?? id.slice(0, 8)) + id.slice(8))
  }

  /** Whether both say the same; what it learns of ids counts from then on. */
  same(text: ReadonlyArray<string>, screen: ReadonlyArray<string>): boolean {
    const learnt: Array<readonly [string, string]> = []
    const left = inOrder(text.map(masked))
    const right = inOrder(screen.map(masked))
    const isSame =
      left.length === right.length &&
      left.every((line, index) => {
        const other = right[index] ?? ""
        if (line.replace(ID, "ID") !== other.replace(ID, "ID")) return false
        const ids = (of: string) => [...of.matchAll(ID)].map(([id]) => id.slice(0, 8))
        const others = ids(other)
        return ids(line).every((id, at) => this.#agree(id, others[at]!, learnt))
      })
    if (isSame) for (const [id, other] of learnt) this.#learn(id, other)
    return isSame
  }

  /** Learns of ids what it can from two that differ: those in the same place of the first lines that are alike. */
  align(text: ReadonlyArray<string>, screen: ReadonlyArray<string>): void {
    for (const line of text) {
      const alike = screen.find((other) => masked(other).replace(ID, "ID") === masked(line).replace(ID, "ID"))
      if (alike !== undefined) this.same([line], [alike])
    }
  }

  /** Lines as they are compared, ids written as in the text where they are known. */
  shown(lines: ReadonlyArray<string>): ReadonlyArray<string> {
    return inOrder(lines.map(masked))
  }

  #agree(id: string, other: string, learnt: Array<readonly [string, string]>): boolean {
    const pairs = [...this.#toScreen, ...learnt]
    if (pairs.some(([text, screen]) => (text === id) !== (screen === other))) return false
    learnt.push([id, other])
    return true
  }

  #learn(id: string, other: string): void {
    this.#toScreen.set(id, other)
    this.#toText.set(other, id)
  }
}
