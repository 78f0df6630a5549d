/**
 * `npm run test:nats [-- --seconds N] [--rate N] [--within N] [--kinds a,b] [--seed N]`: commands, cascades and waits between three
 * replicas while something is wrong with NATS, for 60 s of each kind; each has 30 s to be through. Exit code 1: something is
 * wrong, and stderr says with which trouble.
 */
import { parseArgs } from "node:util"
import { dropSurroundings } from "../harness/surroundings.ts"
import { allNatsTroubles, type NatsTrouble, natsRun, natsTroubles } from "./NatsRun.ts"

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
        seconds: { type: "string", default: "60" },
        rate: { type: "string", default: "10" },
        within: { type: "string", default: "30" },
        kinds: { type: "string", default: allNatsTroubles.join(",") },
        seed: { type: "string", default: String(Date.now() % 1_000_000) }
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
    Object.hasOwn(natsTroubles, name)
      ? (name as NatsTrouble)
      : usage(`there is no trouble ${name}; there are ${allNatsTroubles.join(", ")}`)
  )

const run = async (): Promise<ReadonlyArray<unknown>> => {
  const seed = whole("seed", 0)
  console.log(`seed ${seed}; median and worst of each:`)
  const { failures } = await natsRun({
    kinds,
    forMs: whole("seconds", 1) * 1000,
    rate: whole("rate", 1),
    withinMs: whole("within", 1) * 1000,
    seed,
    log: (line) => console.log(line)
  })
  return failures
}

const failures = await run().catch((error: unknown) => [error])
for (const failure of failures) console.error(failure)
// Sockets that a cut has broken may keep their handles.
process.exit(failures.length === 0 ? 0 : 1)
