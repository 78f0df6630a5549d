import { Answered } from "./Answered.ts"
import type { Api } from "./Api.ts"
import { shortId } from "./NodeId.ts"
import { printableLine } from "./Printable.ts"

/** Nodes of a page, as many as one has. */
const PAGE = "500"
/** Pages that one look reads at most: the next look goes on behind them. */
const PAGES = 4

/**
 * Those that an operation waits for, by name. Its nodes come in the order in which they are asked, level by level from the
 * deepest: pages of which all nodes are through are not read again, unless a deeper level has something to do once more.
 */
export class AskedNodes {
  readonly #api: Api
  readonly #path: string
  readonly #most: number
  /** The end of the pages of which all nodes are through. */
  #through: string | null = null
  #level: number | null = null

  /** `most`: names that are wanted. */
  constructor(api: Api, operationId: string, most: number) {
    this.#api = api
    this.#path = `cascades/${operationId}/nodes`
    this.#most = most
  }

  /** `level`: the depth that is being worked on. */
  async look(level: number | null, signal: AbortSignal): Promise<ReadonlyArray<string>> {
    if (level !== null && this.#level !== null && level > this.#level) this.#through = null
    this.#level = level
    const names: Array<string> = []
    let after = this.#through
    for (let page = 0; page < PAGES && names.length < this.#most; page++) {
      const query = { limit: PAGE, ...(after === null ? {} : { after }) }
      const read = Answered.of(this.#api, await this.#api.get(this.#path, query, { signal }))
      const nodes = read.items()
      const asked = nodes.filter((node) => node.text("state") === "asked")
      names.push(...asked.map((node) => `${shortId(node.id("app_id"))} ${printableLine(node.text("app_name"))}`))
      const next = read.next()
      if (next === null) break
      if (after === this.#through && nodes.every((node) => node.text("state") === "resolved")) this.#through = next
      after = next
    }
    return names.slice(0, this.#most)
  }
}
