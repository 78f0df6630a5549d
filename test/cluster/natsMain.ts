/**
 * `npm run test:nats [-- --seconds N] [--rate N] [--within N] [--kinds a,b] [--seed N]`: commands, cascades and waits between three
 * replicas while something is wrong with NATS, for 60 s of each kind; each has 30 s to be through. Exit code 1: something is
 * wrong, and stderr says with which trouble.
 */
import { dropSurroundings } from "../harness/surroundings.ts"
import { allNatsTroubles, natsRun } from "./NatsRun.ts"
import { RunOptions } from "./RunOptions.ts"

dropSurroundings()

const options = new RunOptions({
  seconds: "60",
  rate: "10",
  within: "30",
  kinds: allNatsTroubles.join(","),
  seed: String(Date.now() % 1_000_000)
})

const run = async (): Promise<ReadonlyArray<unknown>> => {
  const seed = options.whole("seed", 0)
  console.log(`seed ${seed}; median and worst of each:`)
  const { failures } = await natsRun({
    kinds: options.names("kinds", "trouble", allNatsTroubles),
    forMs: options.whole("seconds", 1) * 1000,
    rate: options.whole("rate", 1),
    withinMs: options.whole("within", 1) * 1000,
    seed,
    log: (line) => console.log(line)
  })
  return failures
}

const failures = await run().catch((error: unknown) => [error])
for (const failure of failures) console.error(failure)
// Sockets that a cut has broken may keep their handles.
process.exit(failures.length === 0 ? 0 : 1)
