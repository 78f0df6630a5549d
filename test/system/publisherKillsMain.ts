/** `npm run test:events [-- --kills=20]`: the publisher's replica killed again and again. */
import { parseArgs } from "node:util"
import { dropSurroundings } from "../harness/surroundings.ts"
import { publisherKills } from "./events/PublisherKills.ts"

dropSurroundings()
const { values } = parseArgs({ options: { kills: { type: "string", default: "20" } } })
const report = await publisherKills({ kills: Number(values.kills), reports: 100, log: (line) => console.log(line) })
const { missing, outOfOrder, storedTwice, unknown, unverified } = report
console.log(
  `${report.kills} kills, ${report.events} events, ${report.deliveries} deliveries: ${missing.length} missing, ` +
    `${outOfOrder.length} out of order, ${unverified.length} not verified, ${unknown.length} unknown, ` +
    `${storedTwice} stored twice`
)
const problems = [...missing, ...outOfOrder, ...unverified, ...unknown]
for (const problem of problems.slice(0, 20)) console.error(problem)
process.exitCode = problems.length === 0 && storedTwice === 0 ? 0 : 1
