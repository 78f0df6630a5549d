/**
 * `npm run test:versions -- --older FOLDER [--newer FOLDER]`: three replicas of an older clone under load are upgraded one after
 * the other, and asked at each step whether they work together; then one goes back. Exit code 1: something is wrong.
 */
import { parseArgs } from "node:util"
import { showSpread } from "../../bench/spread.ts"
import { check, describeViolations } from "../harness/Checker.ts"
import { readMetrics } from "../harness/Metrics.ts"
import { seeded } from "../harness/Random.ts"
import { post, rest } from "../harness/Rest.ts"
import { queryPostgres, readPostgres } from "../harness/StoredState.ts"
import { dropSurroundings } from "../harness/surroundings.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { Fleet } from "../system/Fleet.ts"
import { Cluster } from "./Cluster.ts"
import { Crowd, type Family } from "./Crowd.ts"
import { Reporting } from "./Reporting.ts"
import type { Replica } from "./Replica.ts"

dropSurroundings()

const EX_USAGE = 64
const ROOT = new URL("../..", import.meta.url).pathname
const PATIENT = { withinMs: 60_000 }
/** Log lines of a replica that tell of trouble. */
const TROUBLE = /\b(?:warning|error|fatal|WARN|ERROR|FATAL)\b/

const given = parseArgs({
  options: {
    older: { type: "string" },
    newer: { type: "string", default: ROOT },
    children: { type: "string", default: "3" }
  }
}).values
if (given.older === undefined) {
  console.error("--older FOLDER: a clone of an older version, with its packages installed")
  process.exit(EX_USAGE)
}
const older: string = given.older
const children = Number(given.children)

type Body = Readonly<Record<string, unknown>>
let failures = 0
const say = (text: string): void => console.log(`${(performance.now() / 1000).toFixed(1).padStart(6)}  ${text}`)
const expectThat = (what: string, ok: boolean, seen: unknown = ""): void => {
  if (!ok) failures++
  say(`${ok ? "ok  " : "FAIL"}  ${what}${ok ? "" : `: ${JSON.stringify(seen)}`}`)
}

const cluster = await Cluster.start({ build: older, env: { REPLICA_LEASE: "3s" } })
const crowd = await Crowd.gather(cluster, { families: 10, children })
const staying = crowd.families.slice(0, 4).flatMap(({ members, root }) => [root, ...members])
const doomed = crowd.families.slice(4)
const fleet = new Fleet(cluster, { steady: 16, finishers: 0, rate: 50, random: seeded(12) })
await waitUntil("the fleet is attached", () => fleet.isAttached, PATIENT)
const reporting = new Reporting(staying)
say(`three replicas of ${older}, ${crowd.all.length} nodes of the library, 16 others under load`)

/** Commands to every node that stays, by one replica after the other. */
const commands = async (replicas: ReadonlyArray<Replica>): Promise<void> => {
  for (const { http, name } of replicas) {
    const states = await Promise.all(
      staying.map(async ({ appId }) => {
        const body = { action: "echo", payload: appId, timeoutMs: 12_000 }
        const { result, state } = (await post(http, `apps/${appId}/control`, body)).body as Body
        return result === appId ? "answered with its payload" : state
      })
    )
    const others = states.filter((state) => state !== "answered with its payload")
    expectThat(`${name}: commands to each of ${states.length} nodes are answered`, others.length === 0, others)
  }
}

/** Who waits at each replica is told of what is reported. */
const waits = async (replicas: ReadonlyArray<Replica>): Promise<void> => {
  const { root } = crowd.families[0]!
  const told = await Promise.all(
    replicas.map(async ({ http }) => {
      const before = (await rest(http, `apps/${root.appId}/tree`)).body as Body
      return (await rest(http, `apps/${root.appId}/tree?after=${String(before["cursor"])}&timeout=10`)).body as Body
    })
  )
  expectThat(
    "each replica tells a tree and what changes in it",
    told.every((body) => body["unchanged"] === false),
    told
  )
}

const cascade = async (family: Family, { http, name }: Replica): Promise<void> => {
  const ends = family.children.map((child) => child.wait({ timeoutMs: 20_000 }))
  const begun = await post(http, `apps/${family.root.appId}/cancel?cascade=true`, { graceMs: 5000 })
  const { id } = begun.body as Body
  const done = (await rest(http, `cascades/${String(id)}?timeout=14`)).body as Body
  const counts = (done["counts"] ?? {}) as Body
  expectThat(
    `a cascade by ${name} over ${children + 1} nodes`,
    done["state"] === "done" && counts["acked"] === children + 1,
    { begun, done }
  )
  const outcomes = await Promise.all(ends)
  expectThat(
    "the root was told of each end",
    outcomes.every((outcome) => outcome?.state === "cancelled"),
    outcomes
  )
}

const refused = async ({ http, name }: Replica): Promise<void> => {
  const found = [...(await readMetrics(http))].filter(
    ([key, value]) => /replica_messages|hints_dropped/.test(key) && value > 0
  )
  say(
    `      ${name}: ${found.map(([key, value]) => `${key.replace(/^trails_/, "")} ${value}`).join(", ") || "no hints"}`
  )
}

const reported = new Map<Replica, number>()
const troubles = (replica: Replica): void => {
  const { name, trailsd } = replica
  const lines = trailsd.output.split("\n").filter((line) => TROUBLE.test(line))
  for (const line of lines.slice(reported.get(replica) ?? 0).slice(0, 12))
    say(`      ${name} says: ${line.slice(0, 400)}`)
  reported.set(replica, lines.length)
}

const together = async (what: string, replicas: ReadonlyArray<Replica> = cluster.replicas): Promise<void> => {
  say(`--- ${what}`)
  const rows = await queryPostgres(
    cluster.postgres.url,
    "select max(number) as newest, count(*) as of from trails.migrations"
  )
  say(`      schema ${JSON.stringify(rows[0])}`)
  await commands(replicas)
  await waits(replicas)
  for (const replica of replicas) troubles(replica)
  const holders = await crowd.holders()
  const held = replicas.map(
    (replica) => `${replica.name} ${[...holders.values()].filter((at) => at === replica).length}`
  )
  say(`      nodes: ${held.join(", ")}; longest time of a node without an ack, ${showSpread(reporting.takeGaps())} ms`)
}

/** Stops it in order, and starts it from that folder. Resolves to whether it serves. */
const restart = async (replica: Replica, build: string): Promise<boolean> => {
  replica.trailsd.build = build
  await replica.stop()
  try {
    await replica.trailsd.start()
    await waitUntil("the balancer finds it again", () => cluster.balancer.ready.includes(replica.name))
    return true
  } catch {
    const lines = replica.trailsd.output.trimEnd().split("\n")
    say(`      ${replica.name} did not start: ${lines.at(-1)}; exit ${JSON.stringify(await replica.trailsd.exited)}`)
    return false
  }
}

const [first, second, third] = cluster.replicas as readonly [Replica, Replica, Replica]
await together("all older")
expectThat("trailsd2 is upgraded", await restart(second, given.newer))
await together("one newer beside two older")
await cascade(doomed[0]!, first)
await cascade(doomed[1]!, second)
expectThat("trailsd3 is upgraded", await restart(third, given.newer))
await together("two newer beside an older")
await cascade(doomed[2]!, first)
await cascade(doomed[3]!, third)
for (const replica of cluster.replicas) await refused(replica)

say("--- the older one is killed and starts again")
await first.kill()
const cameBack = await restart(first, older)
expectThat("an older replica starts on the newer schema", cameBack)
if (cameBack) await together("after its restart")

say("--- the upgrade goes on")
expectThat("trailsd1 is upgraded", await restart(first, given.newer))
await together("all newer")
await cascade(doomed[4]!, first)

say("--- back again")
const wentBack = await restart(second, older)
expectThat("trailsd2 goes back to the older version", wentBack)
if (!wentBack) await restart(second, given.newer)
await together("at the end")
await cascade(doomed[5]!, second)
for (const replica of cluster.replicas) await refused(replica)

reporting[Symbol.dispose]()
await fleet.stopProducing()
await waitUntil("everything sent is acked", () => fleet.all.every((node) => node.inFlight === 0), PATIENT)
const stored = await readPostgres(cluster.postgres.url)
const violations = describeViolations(check(fleet.all, stored))
expectThat("nothing acked is lost", violations === "" && fleet.lostNodes.length === 0, [violations, fleet.lostNodes])
const verdicts = stored.rows.filter(({ kind }) => kind === "crash" || kind === "lost_contact")
expectThat("nobody was called dead", verdicts.length === 0, verdicts.slice(0, 3))
for (const replica of cluster.replicas) troubles(replica)
await fleet.stop()
await crowd[Symbol.asyncDispose]()
await cluster.dispose()
say(failures === 0 ? "all well" : `${failures} went wrong`)
process.exit(failures === 0 ? 0 : 1)
