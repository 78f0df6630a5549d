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
    return this.#isAbsent(name) ? null : this.text(name)
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

  flag(name: string): boolean {
    const value = this.fields[name]
    if (typeof value !== "boolean") throw this.#wrong(name)
    return value
  }

  optionalId(name: string): string | null {
    return this.#isAbsent(name) ? null : this.id(name)
  }

  /** A whole number that may be larger than a double can hold comes as text. */
  optionalNumber(name: string): number | string | null {
    return typeof this.fields[name] === "string" ? this.text(name) : this.optionalCount(name)
  }

  texts(name: string): ReadonlyArray<string> {
    const value = this.fields[name]
    if (!Array.isArray(value) || !value.every((item) => typeof item === "string")) throw this.#wrong(name)
    return value
  }

  optionalTexts(name: string): ReadonlyArray<string> | null {
    return this.#isAbsent(name) ? null : this.texts(name)
  }

  optionalCount(name: string): number | null {
    return this.#isAbsent(name) ? null : this.count(name)
  }

  object(name: string): Answered {
    return new Answered(this.#api, this.fields[name])
  }

  optionalObject(name: string): Answered | null {
    return this.#isAbsent(name) ? null : this.object(name)
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

  #isAbsent(name: string): boolean {
    return this.fields[name] === null || this.fields[name] === undefined
  }

  #wrong(name: string): Error {
    return notTrailsd(this.#api.place, `its answer has no ${name} as trailsd's has`)
  }
}
