/**
 * How long it takes from sending a command over REST to having the node's own answer, at an idle server and beside a stream
 * of Status reports. The last line is JSON.
 */
import { loadavg } from "node:os"
import { setTimeout as pause } from "node:timers/promises"
import { parseArgs } from "node:util"
import { Postgres } from "../test/harness/Postgres.ts"
import { dropSurroundings } from "../test/harness/surroundings.ts"
import { Trailsd } from "../test/harness/Trailsd.ts"
import { percentile } from "./spread.ts"
import { Caller } from "./control/Caller.ts"
import { EchoNodes } from "./control/EchoNodes.ts"

dropSurroundings()

const { values: args } = parseArgs({
  options: {
    commands: { type: "string", default: "1000" },
    rate: { type: "string", default: "5000" },
    nodes: { type: "string", default: "100" },
    embedded: { type: "boolean", default: false }
  }
})
const COMMANDS = Number(args.commands)
const RATE = Number(args.rate)
const WARM_UP = 100
const SETTLE_MS = 2000

const postgres = args.embedded ? null : await Postgres.create()
const server = await Trailsd.start(postgres === null ? {} : { databaseUrl: postgres.url })
const clients = new EchoNodes()
const caller = new Caller()

const measure = async (ids: ReadonlyArray<string>) => {
  const taken: Array<number> = []
  for (let i = -WARM_UP; i < COMMANDS; i++) {
    const ms = await caller.command(server.http, ids[(i + WARM_UP) % ids.length]!, i)
    if (i >= 0) taken.push(ms)
  }
  const sorted = Float64Array.from(taken).sort()
  return { p50: percentile(sorted, 50), p99: percentile(sorted, 99), max: sorted.at(-1)! }
}

try {
  const { ids } = await clients.ask({ do: "start", url: server.url, nodes: Number(args.nodes) })
  const idle = await measure(ids)
  const before = await clients.ask({ do: "stream", rate: RATE })
  await pause(SETTLE_MS)
  const from = performance.now()
  const start = await clients.ask({ do: "count" })
  const loaded = await measure(ids)
  const end = await clients.ask({ do: "count" })
  const acked = Math.round(((end.acked - start.acked) / (performance.now() - from)) * 1000)
  const show = ({ max, p50, p99 }: typeof idle) =>
    `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, max ${max.toFixed(1)} ms`
  console.log(
    `idle: ${show(idle)}\nbeside ${acked} Status/s acked (${RATE} sent, ${end.dropped - before.dropped} dropped): ${show(loaded)}`
  )
  console.log(
    JSON.stringify({
      storage: args.embedded ? "embedded" : "postgres",
      commands: COMMANDS,
      idle,
      loaded,
      ratio: { p50: loaded.p50 / idle.p50, p99: loaded.p99 / idle.p99 },
      ackedPerSecond: acked,
      load: loadavg()[0]
    })
  )
} finally {
  clients[Symbol.dispose]()
  caller[Symbol.dispose]()
  await server.dispose()
  await postgres?.dispose()
}
