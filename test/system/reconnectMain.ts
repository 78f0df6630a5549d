/** `npm run test:reconnect [-- --signed] [-- --sdk]`: 10,000 nodes lose their sockets at once. */
import { parseArgs } from "node:util"
import { Postgres } from "../harness/Postgres.ts"
import { reconnectStorm, stormFailures, stormLine } from "./ReconnectStorm.ts"
import { dropSurroundings } from "../harness/surroundings.ts"

dropSurroundings()

const { values } = parseArgs({
  options: {
    signed: { type: "boolean", default: false },
    sdk: { type: "boolean", default: false },
    clients: { type: "string", default: "10000" }
  }
})

const postgres = await Postgres.create()
try {
  const report = await reconnectStorm({
    databaseUrl: postgres.url,
    clients: Number(values.clients),
    processes: 2,
    level: values.signed ? "signed" : "open",
    kind: values.sdk ? "sdk" : "raw",
    log: (line) => console.log(line)
  })
  const failures = stormFailures(report)
  console.log(stormLine(report))
  for (const failure of failures) console.error(failure)
  process.exitCode = failures.length === 0 ? 0 : 1
} finally {
  await postgres.dispose()
}
