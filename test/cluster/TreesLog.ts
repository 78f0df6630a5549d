import { queryPostgres } from "../harness/StoredState.ts"

/** A row of the log, with the place of its node. */
export interface TreesRow {
  readonly id: number
  readonly appId: string
  readonly n: number
  readonly kind: string
  readonly correlationId: string | null
  readonly frame: string | null
  readonly facts: Readonly<Record<string, unknown>> | null
  readonly path: ReadonlyArray<string>
}

const ROWS = `
select l.id::int, l.app_id as "appId", l.n::int, l.kind, l.correlation_id as "correlationId", l.frame, l.data as facts,
  t.path::text[] as path
from node_log l join node_tree t using (app_id)
order by l.id`

/** What the database says has happened, in the order of the commits. */
export class TreesLog {
  readonly rows: ReadonlyArray<TreesRow>

  private constructor(rows: ReadonlyArray<TreesRow>) {
    this.rows = rows
  }

  static async read(url: string): Promise<TreesLog> {
    return new TreesLog((await queryPostgres(url, ROWS)) as unknown as ReadonlyArray<TreesRow>)
  }

  /** Events at and below the node: all rows but those of what was refused. */
  events({ appId }: { readonly appId: string }): ReadonlyArray<TreesRow> {
    return this.rows.filter(({ kind, path }) => kind !== "refused" && path.includes(appId))
  }

  /** Rows about commands, by their correlation ids. */
  get commands(): ReadonlyMap<string, ReadonlyArray<TreesRow>> {
    const rows = this.rows.filter(({ correlationId }) => correlationId !== null)
    return Map.groupBy(rows, ({ correlationId }) => correlationId!)
  }

  /** Ids of the rows that tell of a cancel's delivery, and of the end that it was. */
  cancelOf({ appId }: { readonly appId: string }): { readonly told: Array<number>; readonly ended: Array<number> } {
    const own = this.rows.filter((row) => row.appId === appId)
    const told = own.filter(({ facts }) => facts?.["action"] === "cancel" && facts["state"] === "delivered")
    return { told: told.map(({ id }) => id), ended: own.filter(({ kind }) => kind === "cancelled").map(({ id }) => id) }
  }
}
