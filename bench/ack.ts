/**
 * Acked Status per second of trailsd against a bare loop, interleaved in one run. See README.md for what this says and
 * what it does not. The last line is JSON; the exit code is 1 when a limit is missed.
 */
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { availableParallelism, loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import type { Level } from "../src/protocol/Frames.ts"
import { freePort } from "../test/harness/freePort.ts"
import { makeKeypair } from "../test/harness/Keypair.ts"
import { Postgres } from "../test/harness/Postgres.ts"
import { queryPostgres } from "../test/harness/StoredState.ts"
import { Trailsd } from "../test/harness/Trailsd.ts"
import { AckDriver, type RunResult } from "./AckDriver.ts"
import type { BareStart } from "./BareServer.ts"
import { showSpread, type Spread, spreadOf } from "./spread.ts"
import { dropSurroundings } from "../test/harness/surroundings.ts"

dropSurroundings()

const { values: args } = parseArgs({
  options: {
    embedded: { type: "boolean", default: false },
    levels: { type: "string", default: "open,signed" },
    nodes: { type: "string", default: "200" },
    window: { type: "string", default: "8" },
    runs: { type: "string", default: "5" },
    seconds: { type: "string", default: "5" }
  }
})

const NODES = Number(args.nodes)
const RUNS = Number(args.runs)
const SECONDS = Number(args.seconds)
const WARM_UP = 1
/** Floors of the acceptance: share of the bare loop, acked per second in `open`, p99. */
const LIMITS = { share: 0.5, openPerSecond: 15_000, p99Ms: 500 }

interface Contender {
  readonly name: "trailsd" | "bare loop"
  readonly url: string
  readonly key: ReturnType<typeof makeKeypair>
  readonly stop: () => Promise<void>
}

const database = async (postgres: Postgres | null, name: string): Promise<string | null> => {
  if (postgres === null) return null
  await queryPostgres(postgres.url, `CREATE DATABASE ${name}`)
  return Object.assign(new URL(postgres.url), { pathname: `/${name}` }).href
}

const startTrailsd = async (postgres: Postgres | null): Promise<Contender> => {
  const databaseUrl = await database(postgres, "trailsd")
  const server = await Trailsd.start({
    ...(databaseUrl === null ? {} : { databaseUrl }),
    env: { TRAILS_MIN_LEVEL: "open" }
  })
  return { name: "trailsd", url: server.url, key: server.serverKey, stop: () => server.dispose() }
}

const startBare = async (postgres: Postgres | null): Promise<Contender> => {
  const key = makeKeypair()
  const port = await freePort()
  const dataDir = mkdtempSync(join(tmpdir(), "trails-bare-"))
  const child: ChildProcess = fork(join(import.meta.dirname, "BareServer.ts"))
  const start: BareStart = {
    port,
    dataDir,
    databaseUrl: await database(postgres, "bare"),
    serverSeed: key.secretKey.export({ format: "der", type: "pkcs8" }).subarray(-32).toString("base64")
  }
  child.send(start)
  await Promise.race([
    once(child, "message"),
    once(child, "exit").then(() => Promise.reject(new Error("the bare loop ended")))
  ])
  return {
    name: "bare loop",
    url: `ws://127.0.0.1:${port}/ws`,
    key,
    stop: async () => {
      const gone = once(child, "exit")
      child.disconnect()
      await gone
      rmSync(dataDir, { recursive: true, force: true })
    }
  }
}

const compare = async (level: Level, contenders: ReadonlyArray<Contender>) => {
  const drivers = new Map<Contender, AckDriver>()
  for (const contender of contenders) {
    drivers.set(
      contender,
      await AckDriver.connect({
        urls: [contender.url],
        serverKey: contender.key,
        level,
        nodes: NODES,
        window: Number(args.window)
      })
    )
  }
  const results = new Map<Contender, Array<RunResult>>(contenders.map((contender) => [contender, []]))
  for (let run = 0; run < RUNS; run++) {
    // Alternating who goes first: what the machine does meanwhile must not favour one of them.
    for (const contender of run % 2 === 0 ? contenders : [...contenders].reverse()) {
      const result = await drivers.get(contender)!.run(SECONDS, WARM_UP)
      results.get(contender)!.push(result)
      console.log(
        `${level} run ${run + 1} ${contender.name}: ${Math.round(result.perSecond)} acked/s, p50 ${result.p50Ms.toFixed(1)} ms, p99 ${result.p99Ms.toFixed(1)} ms`
      )
    }
  }
  for (const driver of drivers.values()) await driver.close()
  const spread = (name: Contender["name"], pick: (one: RunResult) => number): Spread =>
    spreadOf(
      contenders
        .filter((one) => one.name === name)
        .flatMap((one) => results.get(one)!)
        .map(pick)
    )
  const trailsd = spread("trailsd", (one) => one.perSecond)
  const bare = spread("bare loop", (one) => one.perSecond)
  return {
    level,
    nodes: NODES,
    window: Number(args.window),
    trailsd,
    bare,
    share: trailsd.median / bare.median,
    p50Ms: spread("trailsd", (one) => one.p50Ms),
    p99Ms: spread("trailsd", (one) => one.p99Ms),
    bareP99Ms: spread("bare loop", (one) => one.p99Ms)
  }
}

const loadBefore = loadavg()[0]!
const postgres = args.embedded ? null : await Postgres.create()
const contenders = [await startTrailsd(postgres), await startBare(postgres)]
const missed: Array<string> = []
try {
  const levels = []
  for (const level of args.levels.split(",") as Array<Level>) {
    const result = await compare(level, contenders)
    levels.push(result)
    console.log(
      `${level}: trailsd ${showSpread(result.trailsd)} acked/s, bare loop ${showSpread(result.bare)}, ` +
        `share ${(result.share * 100).toFixed(0)} %, p99 ${showSpread(result.p99Ms)} ms at ${NODES} nodes`
    )
    if (result.share < LIMITS.share) missed.push(`${level}: ${(result.share * 100).toFixed(0)} % of the bare loop`)
    if (level === "open" && result.trailsd.median < LIMITS.openPerSecond)
      missed.push(`${Math.round(result.trailsd.median)} acked/s open`)
    if (result.p99Ms.median > LIMITS.p99Ms) missed.push(`${level}: p99 ${Math.round(result.p99Ms.median)} ms`)
  }
  for (const what of missed) console.error(`limit missed: ${what}`)
  console.log(
    JSON.stringify({
      bench: "ack",
      storage: args.embedded ? "embedded" : "postgres",
      cores: availableParallelism(),
      loadBefore,
      runs: RUNS,
      seconds: SECONDS,
      levels,
      missed
    })
  )
} finally {
  for (const contender of contenders) await contender.stop()
  await postgres?.dispose()
}
process.exitCode = missed.length === 0 ? 0 : 1
