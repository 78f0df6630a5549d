/**
 * `npm run test:chaos [-- --faults N] [--kinds a,b] [--seed N] [--nodes N] [--rate N] [--lease MS] [--acks N] [--minutes N]`:
 * the chaos run in full, 50 faults of each kind. Exit code 1: something is wrong, and stderr says with which seed and fault.
 */
import { dropSurroundings } from "../harness/surroundings.ts"
import { allFaultKinds } from "./ChaosFault.ts"
import { chaosRun } from "./ChaosRun.ts"
import { chaosText } from "./ChaosText.ts"
import { RunOptions } from "./RunOptions.ts"

dropSurroundings()

const options = new RunOptions({
  faults: "50",
  kinds: allFaultKinds.join(","),
  seed: String(Date.now() % 1_000_000),
  nodes: "120",
  rate: "400",
  lease: "2000",
  acks: "0",
  minutes: "240"
})

const run = async (): Promise<ReadonlyArray<unknown>> => {
  const report = await chaosRun({
    seed: options.whole("seed", 0),
    faults: options.whole("faults", 1),
    kinds: options.names("kinds", "fault", allFaultKinds),
    aside: [],
    nodes: options.whole("nodes", 10),
    rate: options.whole("rate", 1),
    leaseMs: options.whole("lease", 1000),
    limitMs: options.whole("minutes", 1) * 60_000,
    minAcks: options.whole("acks", 0),
    log: (line) => console.log(line)
  })
  console.log(chaosText(report))
  return report.failures
}

const failures = await run().catch((error: unknown) => [error])
for (const failure of failures) console.error(failure)
// Sockets that a cut has broken may keep their handles.
process.exit(failures.length === 0 ? 0 : 1)
