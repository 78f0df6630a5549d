/** A command as it is typed, and what the terminal shows before its next prompt. */
export interface Step {
  /** Lines behind the prompts `$ ` and `> `. */
  readonly command: ReadonlyArray<string>
  readonly output: ReadonlyArray<string>
}

/** Part of the text: lines that stay, or a step. */
type Part = { readonly kind: "text"; readonly line: string } | { readonly kind: "step"; readonly step: Step }

const HEADING = "## First five minutes"
const FENCE = "```console"

/** The README, of which the `console` blocks below the tour's heading are steps. */
export class TourText {
  readonly #parts: ReadonlyArray<Part>

  constructor(markdown: string) {
    const parts: Array<Part> = []
    let isTour = false
    let inBlock = false
    let step: { command: Array<string>; output: Array<string> } | null = null
    for (const line of markdown.split("\n")) {
      if (line.startsWith("## ")) isTour = line === HEADING
      const begins: boolean = !inBlock && isTour && line === FENCE
      const ends: boolean = inBlock && line === "```"
      if (begins || ends) {
        inBlock = begins
        step = null
      }
      if (!inBlock || begins) parts.push({ kind: "text", line })
      else if (line.startsWith("$ ")) {
        step = { command: [line.slice(2)], output: [] }
        parts.push({ kind: "step", step })
      } else if (step === null) throw new Error(`A console block of the tour begins with "$ ", not with: ${line}`)
      else if (step.output.length === 0 && line.startsWith("> ")) step.command.push(line.slice(2))
      else step.output.push(line)
    }
    if (inBlock) throw new Error("A console block of the tour does not end.")
    this.#parts = parts
    if (this.steps.length === 0) throw new Error(`There is no ${FENCE} block below "${HEADING}".`)
  }

  get steps(): ReadonlyArray<Step> {
    return this.#parts.flatMap((part) => (part.kind === "step" ? [part.step] : []))
  }

  /** The text with other outputs, one for each step. */
  withOutputs(outputs: ReadonlyArray<ReadonlyArray<string>>): string {
    let next = 0
    return this.#parts
      .flatMap((part) => {
        if (part.kind === "text") return [part.line]
        const [first, ...others] = part.step.command
        return [`$ ${first}`, ...others.map((line) => `> ${line}`), ...(outputs[next++] ?? [])]
      })
      .join("\n")
  }
}
