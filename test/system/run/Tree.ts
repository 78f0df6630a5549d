import { rest } from "../../harness/Rest.ts"
import { waitUntil } from "../../harness/waitUntil.ts"

export interface Row {
  readonly app_id: string
  readonly parent_id: string | null
  readonly app_name: string
  readonly status: string
  readonly pid: number
}

export interface LogEntry {
  readonly kind: string
  readonly payload: Readonly<Record<string, unknown>> | null
  readonly data: Readonly<Record<string, unknown>> | null
}

/** What an open server on loopback tells. */
export class Tree {
  readonly #http: () => string

  constructor(http: () => string) {
    this.#http = http
  }

  async named(name: string): Promise<ReadonlyArray<Row>> {
    const { body } = await rest(this.#http(), `apps?name=${encodeURIComponent(name)}&limit=500`)
    return (body as { readonly items: ReadonlyArray<Row> }).items
  }

  /** The only node of that name, as soon as `isWanted`. */
  async node(name: string, isWanted: (row: Row) => boolean = () => true, withinMs = 15_000): Promise<Row> {
    return await waitUntil(
      `${name} is as wanted`,
      async () => {
        const [row, ...others] = await this.named(name)
        if (others.length > 0) throw new Error(`there are ${others.length + 1} nodes ${name}`)
        return row !== undefined && isWanted(row) ? row : null
      },
      { withinMs }
    )
  }

  async children(of: Row): Promise<ReadonlyArray<Row>> {
    const { body } = await rest(this.#http(), `apps/${of.app_id}/children?limit=500`)
    return (body as { readonly items: ReadonlyArray<Row> }).items
  }

  async log(of: Row): Promise<ReadonlyArray<LogEntry>> {
    const { body } = await rest(this.#http(), `apps/${of.app_id}/log?limit=500`)
    return (body as { readonly items: ReadonlyArray<LogEntry> }).items
  }

  /** The exact text of its log. */
  async logText(of: Row): Promise<string> {
    return await (await fetch(`${this.#http()}/api/v1/apps/${of.app_id}/log?limit=500`)).text()
  }

  /** Payload of the log's last row of that kind. */
  async said(of: Row, kind: "result" | "error"): Promise<Readonly<Record<string, unknown>>> {
    const entry = (await this.log(of)).findLast((row) => row.kind === kind)
    if (entry?.payload == null) throw new Error(`${of.app_name} has said no ${kind}`)
    return entry.payload
  }
}
