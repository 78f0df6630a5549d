/**
 * Cascades in full: 10,000 random trees against the small model of `test/actors/cascadeModel.ts`, and a forest of real
 * processes that is cancelled while trailsd and Postgres are killed at seeded moments. Says what did not come out right; the
 * exit code is 1 then.
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
import { User } from "./run/Wrapped.ts"

dropSurroundings()

const { values: args } = parseArgs({
  options: {
    trees: { type: "string", default: "10000" },
    moments: { type: "string", default: "10" },
    seed: { type: "string", default: "1" }
  }
})
const TREES = Number(args.trees)
const MOMENTS = Number(args.moments)
const SEED = Number(args.seed)
/** Trees that share one database in memory. */
const SHARED = 500
/** A whole cascade of the grove takes about so long, milliseconds: the kills fall into it. */
const CASCADE_MS = 8000

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

/** One forest that is cancelled, while `victim` is killed at the moment and started again. */
const killed = async (victim: "trailsd" | "postgres", afterMs: number): Promise<string> => {
  const postgres = await Postgres.create()
  const server = await Trailsd.start({ databaseUrl: postgres.url })
  const user = new User(server)
  const grove = new Grove(server, user)
  try {
    await grove.grow()
    const { body } = await post(server.http, `apps/${grove.rootId}/cancel?cascade=true`, { graceMs: GRACE_S * 1000 })
    const { id } = body as Cascade
    await pause(afterMs)
    if (victim === "trailsd") {
      await server.kill()
      await server.start()
    } else {
      await postgres.kill()
      await postgres.start()
    }
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

await models()
const random = seeded(SEED)
for (let i = 0; i < MOMENTS; i++) {
  for (const victim of ["trailsd", "postgres"] as const) {
    const afterMs = random.int(CASCADE_MS)
    try {
      console.error(`${victim} killed after ${afterMs} ms: ${await killed(victim, afterMs)}`)
    } catch (error) {
      fail(`${victim} at ${afterMs}: ${String(error)}`)
    }
  }
}
console.log(isBad ? "not as it should be" : `as it should be: ${TREES} trees, ${MOMENTS} kills of each`)
process.exitCode = isBad ? 1 : 0
