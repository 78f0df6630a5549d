/**
 * Cascades in full: `--trees` random trees against the small model of `test/actors/cascadeModel.ts`; a forest of real
 * processes that is cancelled while trailsd and Postgres are killed, each at `--moments` seeded moments; and the same in the
 * middle of `--crowds` crowds of `--nodes` nodes. Says what did not come out right; the exit code is 1 then.
 */
import { setTimeout as pause } from "node:timers/promises"
import { parseArgs } from "node:util"
import { Effect } from "effect"
import { layer } from "../actors/ActorHarness.ts"
import { runModel } from "../actors/cascadeModel.ts"
import { Postgres } from "../harness/Postgres.ts"
import { seeded } from "../harness/Random.ts"
import { post } from "../harness/Rest.ts"
import { dropSurroundings } from "../harness/surroundings.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { type Cascade, GRACE_S, Grove } from "./cascade/Grove.ts"
import { Crowd } from "./cascade/Crowd.ts"
import { planTree } from "./cascade/TreePlan.ts"
import { User } from "./run/Wrapped.ts"

dropSurroundings()

const { values: args } = parseArgs({
  options: {
    trees: { type: "string", default: "10000" },
    moments: { type: "string", default: "10" },
    crowds: { type: "string", default: "10" },
    nodes: { type: "string", default: "10000" },
    seed: { type: "string", default: "1" }
  }
})
const TREES = Number(args.trees)
const MOMENTS = Number(args.moments)
const CROWDS = Number(args.crowds)
const NODES = Number(args.nodes)
const SEED = Number(args.seed)
/** Trees that share one database in memory. */
const SHARED = 500
/** A whole cascade of the grove takes about so long, milliseconds: the kills fall into it. */
const CASCADE_MS = 8000
/** Levels of a crowd below its root; its cancel takes about `CROWD_MS` when nobody is killed and one in a hundred hangs. */
const CROWD_DEPTH = 8
const CROWD_MS = 20_000
const CROWD_GRACE_MS = 2000

let isBad = false
const fail = (text: string): void => {
  isBad = true
  console.error(text)
}

const models = async (): Promise<void> => {
  for (let from = 0; from < TREES; from += SHARED) {
    const some = Effect.gen(function* () {
      for (let seed = SEED + from; seed < SEED + Math.min(TREES, from + SHARED); seed++) {
        const problems = yield* runModel(seeded(seed))
        for (const problem of problems) fail(`tree of seed ${seed}: ${problem}`)
      }
    })
    await Effect.runPromise(
      Effect.scoped(Effect.provide(some, layer({ disconnectGrace: 0, reconnectWindow: 0 }))) as Effect.Effect<void>
    )
    console.error(`${Math.min(TREES, from + SHARED)} trees`)
  }
}

type Victim = "trailsd" | "postgres"

const killAndStart = async (victim: Victim, server: Trailsd, postgres: Postgres): Promise<void> => {
  await (victim === "trailsd" ? server : postgres).kill()
  await (victim === "trailsd" ? server : postgres).start()
}

/** One forest that is cancelled, while `victim` is killed at the moment and started again. */
const killed = async (victim: Victim, afterMs: number): Promise<string> => {
  const postgres = await Postgres.create()
  const server = await Trailsd.start({ databaseUrl: postgres.url })
  const user = new User(server)
  const grove = new Grove(server, user)
  try {
    await grove.grow()
    const { body } = await post(server.http, `apps/${grove.rootId}/cancel?cascade=true`, { graceMs: GRACE_S * 1000 })
    const { id } = body as Cascade
    await pause(afterMs)
    await killAndStart(victim, server, postgres)
    const done = await waitUntil(
      "the operation is through",
      async () => {
        const cascade = await grove.cascade(id, 5)
        return cascade.state === "done" ? cascade : null
      },
      { withinMs: 120_000 }
    )
    const sum = Object.values(done.counts).reduce((total, count) => total + count, 0)
    if (done.total !== grove.size || sum !== grove.size) fail(`${victim} at ${afterMs}: ${JSON.stringify(done.counts)}`)
    for (const problem of await grove.disorder()) fail(`${victim} at ${afterMs}: ${problem}`)
    await waitUntil("no process is left", () => grove.pids().length === 0, { withinMs: 60_000 }).catch(() =>
      fail(`${victim} at ${afterMs}: ${grove.pids().length} processes are left`)
    )
    return JSON.stringify(done.counts)
  } finally {
    await grove.dispose()
    await server.dispose()
    await postgres.dispose()
    user.dispose()
  }
}

/** One crowd that is cancelled, while `victim` is killed at the moment and started again. */
const crowdKilled = async (victim: Victim, afterMs: number): Promise<string> => {
  const postgres = await Postgres.create()
  const server = await Trailsd.start({ databaseUrl: postgres.url })
  const crowd = new Crowd(server, planTree(NODES, CROWD_DEPTH))
  try {
    await crowd.grow(CROWD_GRACE_MS)
    const begun = await crowd.cancel(CROWD_GRACE_MS)
    await pause(afterMs)
    await killAndStart(victim, server, postgres)
    const restarted = performance.now()
    const { counts, state, total } = await crowd.through(begun, 180_000)
    const tookMs = Math.round(performance.now() - restarted)
    const sum = Object.values(counts).reduce((all, count) => all + count, 0)
    const { early, unended } = await crowd.disorder()
    // Who was forced because it was away is told when it comes back.
    const { told, toldAgain } = await waitUntil(
      "every node has been told",
      async () => {
        const count = await crowd.count()
        return count.told === crowd.size ? count : null
      },
      { withinMs: 60_000, everyMs: 200 }
    ).catch(() => crowd.count())
    const isRight =
      state === "done" && total === crowd.size && sum === crowd.size && (counts["forced"] ?? 0) >= crowd.hung
    const report = `${JSON.stringify(counts)}, through ${tookMs} ms after the restart, told ${told}`
    if (!isRight || early > 0 || unended > 0 || told !== crowd.size || toldAgain > 0)
      fail(`${victim} at ${afterMs}: ${state}, ${early} early, ${unended} unended, ${toldAgain} told again; ${report}`)
    return report
  } finally {
    crowd.dispose()
    await server.dispose()
    await postgres.dispose()
  }
}

const kills = async (times: number, withinMs: number, run: typeof killed): Promise<void> => {
  const random = seeded(SEED)
  for (let i = 0; i < times; i++) {
    for (const victim of ["trailsd", "postgres"] as const) {
      const afterMs = random.int(withinMs)
      try {
        console.error(`${victim} killed after ${afterMs} ms: ${await run(victim, afterMs)}`)
      } catch (error) {
        fail(`${victim} at ${afterMs}: ${String(error)}`)
      }
    }
  }
}

await models()
await kills(MOMENTS, CASCADE_MS, killed)
await kills(CROWDS, CROWD_MS, crowdKilled)
console.log(
  isBad
    ? "not as it should be"
    : `as it should be: ${TREES} trees; ${MOMENTS} kills of each among processes, ${CROWDS} among ${NODES} nodes`
)
process.exitCode = isBad ? 1 : 0
