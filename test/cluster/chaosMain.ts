/**
 * `npm run test:chaos [-- --faults N] [--kinds a,b] [--seed N] [--nodes N] [--rate N] [--lease MS] [--acks N] [--minutes N]`:
 * the chaos run in full, 50 faults of each kind. Exit code 1: something is wrong, and stderr says with which seed and fault.
 */
import { parseArgs } from "node:util"
import { dropSurroundings } from "../harness/surroundings.ts"
import { allFaultKinds, type FaultKind, faultKinds } from "./ChaosFault.ts"
import { chaosRun } from "./ChaosRun.ts"
import { chaosText } from "./ChaosText.ts"

dropSurroundings()

const EX_USAGE = 64

const usage = (what: string): never => {
  console.error(what)
  return process.exit(EX_USAGE)
}

const options = () => {
  try {
    return parseArgs({
      options: {
        faults: { type: "string", default: "50" },
        kinds: { type: "string", default: allFaultKinds.join(",") },
        seed: { type: "string", default: String(Date.now() % 1_000_000) },
        nodes: { type: "string", default: "120" },
        rate: { type: "string", default: "400" },
        lease: { type: "string", default: "2000" },
        acks: { type: "string", default: "0" },
        minutes: { type: "string", default: "240" }
      }
    }).values
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error))
  }
}

const given = options()

const whole = (name: keyof typeof given, least: number): number => {
  const value = Number(given[name])
  return Number.isSafeInteger(value) && value >= least
    ? value
    : usage(`--${name} is a whole number from ${least} on; not ${given[name]}`)
}

const kinds = given.kinds
  .split(",")
  .map((name) =>
    name in faultKinds ? (name as FaultKind) : usage(`there is no fault ${name}; there are ${allFaultKinds.join(", ")}`)
  )

const run = async (): Promise<ReadonlyArray<unknown>> => {
  const report = await chaosRun({
    seed: whole("seed", 0),
    faults: whole("faults", 1),
    kinds,
    aside: [],
    nodes: whole("nodes", 10),
    rate: whole("rate", 1),
    leaseMs: whole("lease", 1000),
    limitMs: whole("minutes", 1) * 60_000,
    minAcks: whole("acks", 0),
    log: (line) => console.log(line)
  })
  console.log(chaosText(report))
  return report.failures
}

const failures = await run().catch((error: unknown) => [error])
for (const failure of failures) console.error(failure)
// Sockets that a cut has broken may keep their handles.
process.exit(failures.length === 0 ? 0 : 1)
