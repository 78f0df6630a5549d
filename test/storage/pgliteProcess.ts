// Appends to one node of the embedded database in the folder of argv, and prints n after each commit, until it is killed.
// Run by `Pglite.test.ts`.
import { Effect } from "effect"
import { NodeStore } from "../../src/storage/NodeStore.ts"
import { openStorage, pglite } from "./openStorage.ts"
import { birthOf, requestOf, statusWrite } from "./rows.ts"

const folder = process.argv[2]
if (folder === undefined) throw new Error("usage: pgliteProcess.ts FOLDER")

await openStorage(pglite(folder)).runPromise(
  Effect.gen(function* () {
    const store = yield* NodeStore
    const born = yield* store.birth(requestOf(birthOf()))
    if (born._tag !== "Born") return yield* Effect.die(born._tag)
    console.log(born.row.appId)
    for (let n = 1; ; n++) {
      const [outcome] = yield* store.append(0, [statusWrite({ ...born.row, n }, n)])
      if (outcome?._tag !== "Committed") return yield* Effect.die(outcome)
      console.log(n + 1)
    }
  })
)
