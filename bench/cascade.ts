/**
 * What it costs to cancel large trees: many nodes on many levels, and one parent of many, with one in a hundred hung. Says
 * how long it took, what the server's memory came to, and whether the report and the order of the log are right. The last
 * line is JSON; the exit code is 1 when something is not.
 */
import { type ChildProcess, fork } from "node:child_process"
import { readFileSync } from "node:fs"
import { loadavg } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { Postgres } from "../test/harness/Postgres.ts"
import { post, rest } from "../test/harness/Rest.ts"
import { dropSurroundings } from "../test/harness/surroundings.ts"
import { Trailsd } from "../test/harness/Trailsd.ts"
import type { Cascade } from "../test/system/cascade/Grove.ts"
import { planTree, type TreePlan } from "./control/TreePlan.ts"
import type { TreeCount, TreeOrder } from "./control/treeClients.ts"
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

const ask = (clients: ChildProcess, order: TreeOrder): Promise<TreeCount> =>
  new Promise((resolve, reject) => {
    clients.once("exit", () => reject(new Error("the clients have died")))
    clients.once("message", (count: TreeCount) => {
      clients.removeAllListeners("exit")
      resolve(count)
    })
    clients.send(order)
  })

const peakRssMiB = (pid: number): number =>
  Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024

interface Event {
  readonly data: { readonly app_id: string; readonly kind: string; readonly facts: Record<string, unknown> | null }
}

/** Parents that were asked before all their children had ended. */
const disorderOf = async (http: string, plan: TreePlan): Promise<number> => {
  const asked = new Map<string, number>()
  const ended = new Map<string, number>()
  let at = 0
  for (let after = "0"; ;) {
    const { body } = await rest(http, `events?kind=control,cancelled&after=${after}&limit=500`)
    const { items, next } = body as { readonly items: ReadonlyArray<Event>; readonly next: string }
    if (items.length === 0) break
    for (const { data } of items) {
      at++
      if (data.kind === "cancelled") ended.set(data.app_id, ended.get(data.app_id) ?? at)
      else if (data.facts?.["state"] === "delivered") asked.set(data.app_id, asked.get(data.app_id) ?? at)
    }
    after = next
  }
  return plan
    .flat()
    .filter(
      ({ appId, parentId }) =>
        parentId !== null &&
        (asked.get(parentId) ?? ended.get(parentId) ?? Number.POSITIVE_INFINITY) < (ended.get(appId) ?? 0)
    ).length
}

const cancel = async (server: Trailsd, plan: TreePlan): Promise<Outcome> => {
  const nodes = plan.flat()
  const begun = await post(server.http, `apps/${nodes[0]!.appId}/cancel?cascade=true`, { graceMs: GRACE_MS })
  const { id, levels } = begun.body as Cascade
  const until = performance.now() + MOST_MS
  let cascade = begun.body as Cascade
  while (cascade.state !== "done" && performance.now() < until) {
    const answer = await rest(server.http, `cascades/${id}?timeout=20`, { signal: AbortSignal.timeout(60_000) })
    cascade = answer.body as Cascade
  }
  const tookMs = Date.parse(cascade.finished_at ?? new Date().toISOString()) - Date.parse(cascade.created_at)
  const hung = nodes.filter(({ isHung }) => isHung).length
  const { counts } = cascade
  const problems = [
    ...(cascade.state === "done" ? [] : [`it was not through after ${MOST_MS / 1000} s`]),
    ...(counts["acked"] === nodes.length - hung && counts["forced"] === hung
      ? []
      : [`the report does not add up: ${JSON.stringify(counts)} of ${nodes.length} with ${hung} hung`]),
    ...(tookMs <= levels * GRACE_MS + SLACK_MS ? [] : [`it took ${tookMs} ms for ${levels} levels`])
  ]
  const disorder = await disorderOf(server.http, plan)
  return {
    tookMs,
    peakRssMiB: peakRssMiB(server.pid),
    levels,
    counts,
    problems:
      disorder === 0 ? problems : [...problems, `${disorder} parents were asked before their children had ended`]
  }
}

/** One tree in a world of its own, so that the memory is that of this tree. */
const round = async (plan: TreePlan): Promise<Outcome> => {
  const postgres = args.embedded ? null : await Postgres.create()
  const server = await Trailsd.start(postgres === null ? {} : { databaseUrl: postgres.url })
  const clients = fork(join(import.meta.dirname, "control/treeClients.ts"), {
    stdio: ["ignore", "inherit", "inherit", "ipc"]
  })
  try {
    for (const members of plan) await ask(clients, { do: "grow", url: server.url, members, graceMs: GRACE_MS })
    const { attached } = await ask(clients, { do: "count" })
    if (attached !== plan.flat().length) throw new Error(`only ${attached} nodes are attached`)
    return await cancel(server, plan)
  } finally {
    clients.kill("SIGKILL")
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
