import { parseArgs } from "node:util"

const EX_USAGE = 64

const usage = (what: string): never => {
  console.error(what)
  return process.exit(EX_USAGE)
}

/** Options of a run that is started by hand. Who gives a wrong one is told what there is, and the process ends with 64. */
export class RunOptions<Name extends string> {
  readonly #given: Readonly<Record<string, unknown>>

  constructor(defaults: Readonly<Record<Name, string>>) {
    const options = Object.fromEntries(
      Object.entries<string>(defaults).map(([name, value]) => [name, { type: "string" as const, default: value }])
    )
    try {
      this.#given = parseArgs({ options }).values
    } catch (error) {
      this.#given = usage(error instanceof Error ? error.message : String(error))
    }
  }

  whole(name: Name, least: number): number {
    const value = Number(this.#given[name])
    return Number.isSafeInteger(value) && value >= least
      ? value
      : usage(`--${name} is a whole number from ${least} on; not ${String(this.#given[name])}`)
  }

  /** Names with commas between them, each one of `known`; `noun`: what they are names of. */
  names<Known extends string>(name: Name, noun: string, known: ReadonlyArray<Known>): ReadonlyArray<Known> {
    return String(this.#given[name])
      .split(",")
      .map(
        (text) =>
          known.find((one) => one === text) ?? usage(`there is no ${noun} ${text}; there are ${known.join(", ")}`)
      )
  }
}
