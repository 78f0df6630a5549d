/** `npm run test:crash [-- --embedded] [-- --seed=N]`: the crash run in full. */
import { parseArgs } from "node:util"
import { crashFailures, crashRun, reportLine } from "./CrashRun.ts"
import { dropSurroundings } from "../harness/surroundings.ts"

dropSurroundings()

const { values } = parseArgs({
  options: { embedded: { type: "boolean", default: false }, seed: { type: "string", default: "2025" } }
})

const report = await crashRun({
  seed: Number(values.seed),
  embedded: values.embedded,
  nodes: 50,
  finishers: 12,
  minMessages: 50_000,
  minMs: 60_000,
  trailsdKills: 20,
  postgresKills: values.embedded ? 0 : 5,
  inFlight: 100,
  log: (line) => console.log(line)
})
const failures = crashFailures(report)
console.log(reportLine(report))
for (const failure of failures) console.error(failure)
process.exitCode = failures.length === 0 ? 0 : 1
