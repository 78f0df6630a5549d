import { Effect } from "effect"
import type { LogEntry } from "../../src/storage/LogRow.ts"
import type { NodeRow } from "../../src/storage/NodeRow.ts"
import type { NodeStore } from "../../src/storage/NodeStore.ts"
import { birthOf, bornRow, logEntry, requestOf, statusEntry, statusWrite } from "../storage/rows.ts"

/** A node in the store, and a way to append to its log. */
export class LogWriter {
  row: NodeRow
  readonly #store: NodeStore["Service"]

  private constructor(store: NodeStore["Service"], row: NodeRow) {
    this.#store = store
    this.row = row
  }

  static async born(store: NodeStore["Service"], parent: LogWriter | null = null): Promise<LogWriter> {
    const request = requestOf(birthOf(), { parentId: parent?.appId ?? null })
    return new LogWriter(store, bornRow(await Effect.runPromise(store.birth(request))))
  }

  get appId(): string {
    return this.row.appId
  }

  async report(count = 1, payload = "{}"): Promise<void> {
    const rows = Array.from({ length: count }, (_, index) => statusEntry(this.appId, this.row.n + index, payload))
    await this.#append(rows)
  }

  async note(kind: "crash" | "refused"): Promise<void> {
    await this.#append([logEntry({ kind })])
  }

  async #append(rows: ReadonlyArray<LogEntry>): Promise<void> {
    const write = statusWrite(this.row, this.row.n, { rows: [...rows] })
    const [outcome] = await Effect.runPromise(this.#store.append(0, [write]))
    if (outcome?._tag !== "Committed") throw new Error(`not committed: ${outcome?._tag}`)
    this.row = { ...this.row, n: this.row.n + rows.length }
  }
}
