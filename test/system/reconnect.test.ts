import { afterAll, expect, it } from "vitest"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { reconnectStorm, stormFailures, stormLine } from "./ReconnectStorm.ts"

const database = await freshDatabase()
afterAll(() => database.drop())

it("takes 1,000 reconnects at once without a stall or a verdict (P8, P20)", async () => {
  const report = await reconnectStorm({
    databaseUrl: database.url,
    nodes: 1000,
    processes: 1,
    level: "open",
    kind: "raw",
    log: () => {}
  })
  console.log(stormLine(report))
  expect(stormFailures(report)).toEqual([])
})
