import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { withoutSurroundings } from "../../harness/surroundings.ts"
import { Trailsd } from "../../harness/Trailsd.ts"
import { Mask } from "./Mask.ts"
import { type Terminal, Terminals } from "./Terminal.ts"
import { type Step, TourText } from "./TourText.ts"

const ROOT = resolve(import.meta.dirname, "../../..")
const README = join(ROOT, "README.md")
/** Of one command, milliseconds. */
const STEP_MS = 60_000

const LOOKS = /^bin\/trails (?:tree|status)\b/
const AGAIN_MS = 15_000

/** The README's first five minutes, typed into a terminal beside a server. */
export class Tour {
  readonly #text = new TourText(readFileSync(README, "utf8"))
  readonly #mask = new Mask()
  readonly #folder = mkdtempSync(join(tmpdir(), "tour-"))
  readonly #outputs: Array<ReadonlyArray<string>> = []
  #server: Trailsd | null = null
  #terminals: Terminals | null = null

  get length(): number {
    return this.#text.steps.length
  }

  /** Null: each command prints what the README says; else the first difference, for people. */
  async run(): Promise<string | null> {
    const { steps } = this.#text
    let difference: string | null = null
    const server = await Trailsd.start({ env: { HOME: this.#folder } })
    this.#server = server
    const { PATH = "" } = withoutSurroundings()
    this.#terminals = new Terminals(this.#folder, {
      HOME: this.#folder,
      PATH,
      NO_COLOR: "1",
      TMPDIR: this.#folder,
      TRAILS_SERVER: server.http
    })
    const terminal = await this.#terminals.open("tour", ROOT)
    for (const { command, output } of steps) {
      const { isSame, screen } = await this.#typed(terminal, { command, output })
      if (!isSame) this.#mask.align(output, screen)
      this.#outputs.push(isSame ? output : screen.map((line) => this.#mask.written(line)))
      if (!isSame) difference ??= differenceOf({ command, output }, this.#mask, screen)
    }
    return difference
  }

  /** What only looks is typed again, as people do, until it shows what was started before. */
  async #typed(terminal: Terminal, { command, output }: Step) {
    const until = performance.now() + (LOOKS.test(command[0] ?? "") ? AGAIN_MS : 0)
    for (;;) {
      await terminal.type(command.map((line) => this.#mask.typed(line)))
      const screen = await terminal.output(command.length, STEP_MS)
      const isSame = this.#mask.same(output, screen)
      if (isSame || performance.now() >= until) return { isSame, screen }
    }
  }

  /** Puts into the README what `run` has seen. */
  write(): void {
    writeFileSync(README, this.#text.withOutputs(this.#outputs))
  }

  async close(): Promise<void> {
    this.#terminals?.close()
    await this.#server?.dispose()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

const differenceOf = ({ command, output }: Step, mask: Mask, screen: ReadonlyArray<string>): string =>
  [
    `README.md: $ ${command.join("\n> ")}`,
    "should print (ids, times and the like are masked)",
    ...mask.shown(output).map((line) => `  - ${line}`),
    "and prints",
    ...mask.shown(screen).map((line) => `  + ${line}`),
    "If that is right now: npm run tour -- --write"
  ].join("\n")
