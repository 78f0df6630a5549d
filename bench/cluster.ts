/**
 * What several replicas bring and cost: acked Status with 1, 2, 3 of them, commands and waits that go from one to another,
 * how soon a subscriber has an event, and the nodes of a killed one run elsewhere. See README.md for what the figures mean. The last line is
 * JSON; the exit code is 1 when a limit of the acceptance is missed.
 */
import { availableParallelism, loadavg } from "node:os"
import { parseArgs } from "node:util"
import type { Level } from "../src/protocol/Frames.ts"
import { Postgres } from "../test/harness/Postgres.ts"
import { dropSurroundings } from "../test/harness/surroundings.ts"
import { commands } from "./cluster/commands.ts"
import { failover } from "./cluster/failover.ts"
import { type Latency, showLatency } from "./cluster/Latency.ts"
import type { Over } from "./cluster/startSite.ts"
import { subscriber } from "./cluster/subscriber.ts"
import { showThroughput, throughput } from "./cluster/throughput.ts"
import { waiters } from "./cluster/waiters.ts"
import type { Ways } from "./cluster/Ways.ts"
import { showSpread } from "./spread.ts"

dropSurroundings()

const EX_USAGE = 64
/** Nodes of a killed replica run again within so long (issue 6, §5.2). */
const FAILOVER_MS = 5000

const { values: args } = parseArgs({
  options: {
    parts: { type: "string", default: "throughput,commands,waiters,subscriber,failover" },
    replicas: { type: "string", default: "3" },
    rounds: { type: "string", default: "5" },
    level: { type: "string", default: "open" },
    nodes: { type: "string", default: "200" },
    window: { type: "string", default: "8" },
    seconds: { type: "string", default: "5" },
    commands: { type: "string", default: "200" },
    waits: { type: "string", default: "100" },
    unhinted: { type: "string", default: "20" }
  }
})
const numbers = {
  replicas: Number(args.replicas),
  rounds: Number(args.rounds),
  nodes: Number(args.nodes),
  window: Number(args.window),
  seconds: Number(args.seconds)
}
const counts = { commands: Number(args.commands), waits: Number(args.waits), unhinted: Number(args.unhinted) }
const isLevel = (text: string): text is Level => text === "open" || text === "signed"
const { level } = args
if (!isLevel(level) || numbers.replicas < 2 || !Object.values({ ...numbers, ...counts }).every((value) => value >= 1)) {
  console.error("--level is open or signed, --replicas at least 2, every other figure at least 1")
  process.exit(EX_USAGE)
}

const log = (line: string): void => console.log(`  ${line}`)

/** With NATS, and without: then whoever waits finds it at his next look. */
const hintedOrNot = async (
  measure: (over: Over, count: number) => Promise<Ways<Latency>>,
  count: number
): Promise<Record<"nats" | "none", Ways<Latency>>> => {
  const nats = await measure("hints", count)
  const none = await measure("nothing", counts.unhinted)
  for (const [name, ways] of [
    ["with NATS", nats],
    ["without NATS", none]
  ] as const) {
    log(`${name}, same replica: ${showLatency(ways.same)}`)
    log(`${name}, another replica: ${showLatency(ways.across)}`)
  }
  return { nats, none }
}

const missed: Array<string> = []

/** Each has its own replicas, which end with it. */
const parts: Readonly<Record<string, (postgres: Postgres) => Promise<unknown>>> = {
  throughput: async (postgres) => {
    const found = await throughput(postgres, { ...numbers, level, log })
    for (const one of found) log(showThroughput(one))
    return found
  },
  commands: (postgres) =>
    hintedOrNot((over, count) => commands(postgres, { ...numbers, over, commands: count }), counts.commands),
  waiters: (postgres) =>
    hintedOrNot((over, count) => waiters(postgres, { ...numbers, over, waits: count }), counts.waits),
  subscriber: async (postgres) => {
    const found = await subscriber(postgres, { ...numbers, waits: counts.waits })
    log(showLatency(found))
    return found
  },
  failover: async (postgres) => {
    const found = await failover(postgres, { ...numbers, log })
    log(`half of the nodes after ${showSpread(found.halfMs)} ms, all after ${showSpread(found.allMs)} ms`)
    if (found.allMs.high > FAILOVER_MS) missed.push(`a failover took ${Math.round(found.allMs.high)} ms`)
    return found
  }
}

const chosen = args.parts.split(",")
const unknown = chosen.find((name) => !Object.hasOwn(parts, name))
if (unknown !== undefined) {
  console.error(`--parts: ${Object.keys(parts).join(", ")}; not ${unknown}`)
  process.exit(EX_USAGE)
}

const loadBefore = loadavg()[0]
const postgres = await Postgres.create()
const results: Record<string, unknown> = {}
try {
  for (const name of chosen) {
    console.log(`${name}:`)
    results[name] = await parts[name]!(postgres)
  }
} finally {
  await postgres.dispose()
}
for (const what of missed) console.error(`limit missed: ${what}`)
console.log(
  JSON.stringify({
    bench: "cluster",
    cores: availableParallelism(),
    loadBefore,
    options: { level, ...numbers, ...counts },
    ...results,
    missed
  })
)
process.exitCode = missed.length === 0 ? 0 : 1
