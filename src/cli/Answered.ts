import { parseUuid } from "../protocol/Uuid.ts"
import type { Api, ApiAnswer } from "./Api.ts"
import { notTrailsd } from "./ApiProblem.ts"

export type Fields = Readonly<Record<string, unknown>>

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/**
 * Reads what a server has answered, member by member: what is not as docs/rest.md says was not answered by trailsd, and
 * nothing of it reaches a terminal.
 */
export class Answered {
  readonly fields: Fields
  readonly #api: Api

  constructor(api: Api, value: unknown) {
    this.#api = api
    if (!isFields(value)) throw this.#wrong("an object")
    this.fields = value
  }

  static of(api: Api, { json }: ApiAnswer): Answered {
    return new Answered(api, json)
  }

  text(name: string): string {
    const value = this.fields[name]
    if (typeof value !== "string") throw this.#wrong(name)
    return value
  }

  optionalText(name: string): string | null {
    return this.fields[name] === null || this.fields[name] === undefined ? null : this.text(name)
  }

  id(name: string): string {
    const id = parseUuid(this.text(name))
    if (id === null) throw this.#wrong(name)
    return id
  }

  count(name: string): number {
    const value = this.fields[name]
    if (typeof value !== "number" || !Number.isFinite(value)) throw this.#wrong(name)
    return value
  }

  optionalCount(name: string): number | null {
    return this.fields[name] === null || this.fields[name] === undefined ? null : this.count(name)
  }

  object(name: string): Answered {
    return new Answered(this.#api, this.fields[name])
  }

  items(): ReadonlyArray<Answered> {
    const { items } = this.fields
    if (!Array.isArray(items)) throw this.#wrong("items")
    return items.map((item: unknown) => new Answered(this.#api, item))
  }

  /** Where the next page begins; null: there is none. */
  next(): string | null {
    const next = this.optionalText("next")
    if (next !== null && !/^[\w:-]{1,128}$/.test(next)) throw this.#wrong("next")
    return next
  }

  #wrong(name: string): Error {
    return notTrailsd(this.#api.place, `its answer has no ${name} as trailsd's has`)
  }
}
