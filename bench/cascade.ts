/**
 * What it costs to cancel large trees: many nodes on many levels, and one parent of many, with one in a hundred hung. Says
 * how long it took, what the server's memory came to, and whether the report and the order of the log are right. The last
 * line is JSON; the exit code is 1 when something is not.
 */
import { readFileSync } from "node:fs"
import { loadavg } from "node:os"
import { parseArgs } from "node:util"
import { Postgres } from "../test/harness/Postgres.ts"
import { dropSurroundings } from "../test/harness/surroundings.ts"
import { Trailsd } from "../test/harness/Trailsd.ts"
import { Crowd } from "../test/system/cascade/Crowd.ts"
import { planTree, type TreePlan } from "../test/system/cascade/TreePlan.ts"
import { showSpread, spreadOf } from "./spread.ts"

dropSurroundings()

const { values: args } = parseArgs({
  options: {
    nodes: { type: "string", default: "10000" },
    depth: { type: "string", default: "8" },
    rounds: { type: "string", default: "3" },
    embedded: { type: "boolean", default: false }
  }
})
const NODES = Number(args.nodes)
const ROUNDS = Number(args.rounds)
const GRACE_MS = 2000
/** Beyond the graces (PROTOCOL §8). */
const SLACK_MS = 10_000
const MOST_MS = 300_000

interface Outcome {
  readonly tookMs: number
  readonly peakRssMiB: number
  readonly levels: number
  readonly counts: Readonly<Record<string, number>>
  readonly problems: ReadonlyArray<string>
}

const peakRssMiB = (pid: number): number =>
  Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024

const cancel = async (server: Trailsd, crowd: Crowd): Promise<Outcome> => {
  const begun = await crowd.cancel(GRACE_MS)
  const { counts, created_at, finished_at, levels, state } = await crowd.through(begun, MOST_MS)
  const tookMs = Date.parse(finished_at ?? new Date().toISOString()) - Date.parse(created_at)
  const { early, unended } = await crowd.disorder()
  const problems = [
    ...(state === "done" ? [] : [`it was not through after ${MOST_MS / 1000} s`]),
    ...(counts["acked"] === crowd.size - crowd.hung && counts["forced"] === crowd.hung
      ? []
      : [`the report does not add up: ${JSON.stringify(counts)} of ${crowd.size} with ${crowd.hung} hung`]),
    ...(tookMs <= levels * GRACE_MS + SLACK_MS ? [] : [`it took ${tookMs} ms for ${levels} levels`]),
    ...(early === 0 ? [] : [`${early} parents were asked before their children had ended`]),
    ...(unended === 0 ? [] : [`${unended} nodes never ended`])
  ]
  return { tookMs, peakRssMiB: peakRssMiB(server.pid), levels, counts, problems }
}

/** One tree in a world of its own, so that the memory is that of this tree. */
const round = async (plan: TreePlan): Promise<Outcome> => {
  const postgres = args.embedded ? null : await Postgres.create()
  const server = await Trailsd.start(postgres === null ? {} : { databaseUrl: postgres.url })
  const crowd = new Crowd(server, plan)
  try {
    await crowd.grow(GRACE_MS)
    return await cancel(server, crowd)
  } finally {
    crowd.dispose()
    await server.dispose()
    await postgres?.dispose()
  }
}

const SHAPES = { deep: () => planTree(NODES, Number(args.depth)), wide: () => planTree(NODES, 1) } as const

const results: Record<string, unknown> = {
  nodes: NODES,
  storage: args.embedded ? "embedded" : "postgres",
  rounds: ROUNDS
}
let isBad = false
for (const [name, plan] of Object.entries(SHAPES)) {
  const outcomes: Array<Outcome> = []
  for (let i = 0; i < ROUNDS; i++) {
    const outcome = await round(plan())
    outcomes.push(outcome)
    console.error(`${name} ${i + 1}/${ROUNDS}: ${outcome.tookMs} ms, ${Math.round(outcome.peakRssMiB)} MiB at the peak`)
    for (const problem of outcome.problems) console.error(`  ${problem}`)
    isBad ||= outcome.problems.length > 0
  }
  const took = spreadOf(outcomes.map(({ tookMs }) => tookMs))
  const memory = spreadOf(outcomes.map(({ peakRssMiB: mib }) => mib))
  console.log(`${name}: ${outcomes[0]!.levels} levels, ${JSON.stringify(outcomes[0]!.counts)}`)
  console.log(`  time ${showSpread(took)} ms, the server's peak memory ${showSpread(memory)} MiB`)
  results[name] = { levels: outcomes[0]!.levels, counts: outcomes[0]!.counts, tookMs: took, peakRssMiB: memory }
}
console.log(JSON.stringify({ ...results, load: loadavg()[0] }))
process.exitCode = isBad ? 1 : 0
