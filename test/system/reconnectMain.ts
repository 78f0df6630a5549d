/**
 * `npm run test:reconnect [-- --signed] [-- --sdk] [-- --nodes 10000]`: 10,000 nodes lose their sockets at once. With
 * `--replicas 3` they are spread over so many, and one is killed. Exit code 1 when a limit is missed.
 */
import { parseArgs } from "node:util"
import { Postgres } from "../harness/Postgres.ts"
import { dropSurroundings } from "../harness/surroundings.ts"
import { clusterStorm, clusterStormFailures, clusterStormLine } from "./ClusterStorm.ts"
import { reconnectStorm, stormFailures, stormLine, type StormOptions } from "./ReconnectStorm.ts"

dropSurroundings()

const EX_USAGE = 64
const PROCESSES = 2

const { values } = parseArgs({
  options: {
    signed: { type: "boolean", default: false },
    sdk: { type: "boolean", default: false },
    nodes: { type: "string", default: "10000" },
    replicas: { type: "string", default: "1" }
  }
})
const nodes = Number(values.nodes)
const replicas = Number(values.replicas)
if (!Number.isInteger(nodes) || nodes < PROCESSES || !Number.isInteger(replicas) || replicas < 1) {
  console.error(`--nodes is a whole number from ${PROCESSES} on, --replicas one from 1 on`)
  process.exit(EX_USAGE)
}

const storm = async (options: StormOptions): Promise<ReadonlyArray<string>> => {
  if (replicas === 1) {
    const report = await reconnectStorm(options)
    console.log(stormLine(report))
    return stormFailures(report)
  }
  const report = await clusterStorm({ ...options, replicas })
  console.log(clusterStormLine(report))
  return clusterStormFailures(report)
}

const postgres = await Postgres.create()
try {
  const failures = await storm({
    databaseUrl: postgres.url,
    nodes,
    processes: PROCESSES,
    level: values.signed ? "signed" : "open",
    kind: values.sdk ? "sdk" : "raw",
    log: (line) => console.log(line)
  })
  for (const failure of failures) console.error(failure)
  process.exitCode = failures.length === 0 ? 0 : 1
} finally {
  await postgres.dispose()
}
