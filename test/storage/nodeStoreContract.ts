import { describe } from "vitest"
import { appends } from "./contract/appends.ts"
import { births } from "./contract/births.ts"
import { exactBytes } from "./contract/exactBytes.ts"
import { readers } from "./contract/readers.ts"
import { treeQueries } from "./contract/treeQueries.ts"
import { treeRows } from "./contract/treeRows.ts"
import { Stage, type StoreUnderTest } from "./contract/Stage.ts"

/** What every `NodeStore` keeps, whatever it is made of (DESIGN §2, §4). */
export const nodeStoreContract = (name: string, open: () => Promise<StoreUnderTest>): void => {
  describe(`NodeStore on ${name}`, () => {
    const stage = new Stage(open)
    births(stage)
    appends(stage)
    exactBytes(stage)
    readers(stage)
    treeRows(stage)
    treeQueries(stage)
  })
}
