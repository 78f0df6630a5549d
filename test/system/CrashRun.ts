import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { check, describeViolations } from "../harness/Checker.ts"
import type { Stored } from "../harness/Stored.ts"
import type { Verdict } from "../harness/Verdict.ts"
import { Postgres } from "../harness/Postgres.ts"
import { type Random, seeded } from "../harness/Random.ts"
import { rest } from "../harness/Rest.ts"
import { readEmbedded, readPostgres } from "../harness/StoredState.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { Fleet } from "./Fleet.ts"

export interface CrashOptions {
  readonly seed: number
  readonly embedded: boolean
  readonly nodes: number
  readonly finishers: number
  readonly minMessages: number
  readonly minMs: number
  readonly trailsdKills: number
  readonly postgresKills: number
  /** Unacked at the moment of each kill of trailsd. */
  readonly inFlight: number
  readonly log: (line: string) => void
}

export interface CrashReport {
  readonly seed: number
  readonly storage: "postgres" | "embedded"
  readonly seconds: number
  readonly verdict: Verdict
  /** Unacked frames at each kill of trailsd. */
  readonly inFlightAtKill: ReadonlyArray<number>
  /** Milliseconds from each kill of trailsd until it was ready again. */
  readonly restartMs: ReadonlyArray<number>
  /** Milliseconds from each kill of trailsd until every node was running and heard again. */
  readonly recoveredMs: ReadonlyArray<number>
  /** The same, from the return of Postgres. */
  readonly postgresRecoveredMs: ReadonlyArray<number>
  readonly lostNodes: ReadonlyArray<string>
}

type Fault = "trailsd" | "postgres"

/** Data folder of the embedded database below TRAILS_DATA_DIR. */
const EMBEDDED_FOLDER = "pglite"
const RECOVERY_LIMIT_MS = 60_000

const shuffled = (faults: Array<Fault>, random: Random): ReadonlyArray<Fault> => {
  for (let i = faults.length - 1; i > 0; i--) {
    const j = random.int(i + 1)
    const other = faults[j]!
    faults[j] = faults[i]!
    faults[i] = other
  }
  return faults
}

/** Every live node is attached, `running` in the database, and a frame that it sent after `mark` is acked. */
const awaitRecovery = async (server: Trailsd, fleet: Fleet): Promise<void> => {
  const options = { withinMs: RECOVERY_LIMIT_MS, everyMs: 50 }
  await waitUntil("every node is attached again", () => fleet.isAttached, options)
  const marks = fleet.steady.map((node) => [node, node.status({ back: true })] as const)
  await waitUntil(
    "every node is heard again",
    () => marks.every(([node, seq]) => node.inFlight === 0 || (node.oldestUnacked ?? Infinity) > seq),
    options
  )
  await waitUntil(
    "every node is running",
    async () => {
      const { body, status } = await rest(server.http, "apps?status=running&limit=500")
      const running = new Set(
        status === 200 ? JSON.stringify(body).match(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g) : []
      )
      return fleet.steady.every((node) => running.has(node.appId))
    },
    options
  )
}

/** Kills trailsd with enough unacked in flight, at a seeded distance from the burst. */
const killTrailsd = async (server: Trailsd, fleet: Fleet, options: CrashOptions, random: Random): Promise<number> => {
  for (;;) {
    fleet.burst(options.inFlight * 3)
    await delay(random.int(12))
    const inFlight = fleet.inFlight
    if (inFlight < options.inFlight) continue
    await server.kill()
    return inFlight
  }
}

/**
 * The crash run: a fleet reports while trailsd and Postgres are killed with `kill -9` at seeded moments; in the end the
 * database is compared with what the clients were told (P1, P2, P4, P9).
 */
export const crashRun = async (options: CrashOptions): Promise<CrashReport> => {
  const random = seeded(options.seed)
  const postgres = options.embedded ? null : await Postgres.create()
  const server = await Trailsd.start(postgres === null ? {} : { databaseUrl: postgres.url })
  const started = performance.now()
  const fleet = new Fleet(server, {
    steady: options.nodes,
    finishers: options.finishers,
    rate: Math.ceil((options.minMessages / options.minMs) * 1000 * 1.25),
    random: seeded(options.seed + 1)
  })
  const report = {
    inFlightAtKill: [] as Array<number>,
    restartMs: [] as Array<number>,
    recoveredMs: [] as Array<number>,
    postgresRecoveredMs: [] as Array<number>
  }
  try {
    await waitUntil("the fleet is attached", () => fleet.isAttached, { withinMs: 30_000 })
    const faults = shuffled(
      [
        ...Array.from({ length: options.trailsdKills }, (): Fault => "trailsd"),
        ...Array.from({ length: options.postgresKills }, (): Fault => "postgres")
      ],
      random
    )
    const every = options.minMs / (faults.length + 1)
    for (const [index, fault] of faults.entries()) {
      const moment = every * (index + 0.5 + random.next() * 0.5)
      await delay(Math.max(random.int(200), moment - (performance.now() - started)))
      if (index % 3 === 0) fleet.cutOne()
      if (index % 2 === 0) await fleet.finishOne()
      fleet.disturbFinished()
      let from = performance.now()
      if (fault === "trailsd") {
        report.inFlightAtKill.push(await killTrailsd(server, fleet, options, random))
        from = performance.now()
        await server.start()
        report.restartMs.push(Math.round(performance.now() - from))
      } else if (postgres !== null) {
        fleet.burst(options.inFlight)
        await postgres.kill()
        await delay(random.int(1500))
        await postgres.start()
        from = performance.now()
      }
      await awaitRecovery(server, fleet)
      const took = Math.round(performance.now() - from)
      if (fault === "trailsd") report.recoveredMs.push(took)
      else report.postgresRecoveredMs.push(took)
      options.log(
        `${index + 1}/${faults.length} kill -9 of ${fault}: all running again after ${took} ms, ${fleet.sent} sent`
      )
    }
    await waitUntil(
      "enough was sent",
      () => fleet.sent >= options.minMessages && performance.now() - started >= options.minMs,
      { withinMs: options.minMs * 3 }
    )
    await fleet.stopProducing()
    await waitUntil("everything sent is answered", () => fleet.inFlight === 0, { withinMs: 30_000 })
    const seconds = (performance.now() - started) / 1000
    const lostNodes = fleet.lostNodes
    await fleet.stop()
    await server.stop()
    const stored: Stored =
      postgres === null ? await readEmbedded(join(server.dataDir, EMBEDDED_FOLDER)) : await readPostgres(postgres.url)
    return {
      seed: options.seed,
      storage: postgres === null ? "embedded" : "postgres",
      seconds,
      verdict: check(fleet.all, stored, fleet.finals),
      ...report,
      lostNodes
    }
  } catch (cause) {
    throw new Error(`crash run (seed ${options.seed}) broke off; trailsd said:\n${server.output.slice(-3000)}`, {
      cause
    })
  } finally {
    await fleet.stop()
    await server.dispose()
    await postgres?.dispose()
  }
}

const most = (values: ReadonlyArray<number>): number => (values.length === 0 ? 0 : Math.max(...values))

/** The report on one line. */
export const reportLine = (report: CrashReport): string => {
  const { verdict } = report
  const count = (invariant: string) => verdict.violations.filter((one) => one.invariant === invariant).length
  return [
    `crash run: ${report.storage}, seed ${report.seed}, ${report.seconds.toFixed(0)} s`,
    `${verdict.sent} sent, ${verdict.acked} acked, ${verdict.stored} stored`,
    `${report.recoveredMs.length} kills of trailsd with ≥ ${Math.min(...report.inFlightAtKill, Infinity)} in flight`,
    `${report.postgresRecoveredMs.length} of Postgres`,
    `lost ${count("P1 durable")}, twice ${count("P2 once")}, disorder ${count("order") + count("P4 one owner")}`,
    `final changed ${count("P9 final")}, other ${count("phantom") + count("status")}`,
    `ready again ≤ ${most(report.restartMs)} ms, all running again ≤ ${most(report.recoveredMs)} ms (Postgres ≤ ${most(report.postgresRecoveredMs)} ms)`
  ].join("; ")
}

export const crashFailures = (report: CrashReport, limitMs = 10_000): ReadonlyArray<string> => [
  ...(report.verdict.violations.length === 0 ? [] : [describeViolations(report.verdict)]),
  ...report.lostNodes.map((node) => `refused for good: ${node}`),
  ...[...report.recoveredMs, ...report.postgresRecoveredMs]
    .filter((ms) => ms > limitMs)
    .map((ms) => `recovery took ${ms} ms, the limit is ${limitMs} ms`)
]
