/**
 * Memory per idle connected node: the server's resident memory after a forced collection, with 10,000 nodes connected
 * 500 at a time, above the same server empty. The last line is JSON; the exit code is 1 when the limit is missed.
 */
import { fork, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { parseArgs } from "node:util"
import type { Level } from "../src/protocol/Frames.ts"
import { Postgres } from "../test/harness/Postgres.ts"
import { type Memory, ServerMemory } from "../test/harness/ServerMemory.ts"
import { Trailsd } from "../test/harness/Trailsd.ts"
import type { StormCount, StormStart } from "../test/system/stormClients.ts"
import { dropSurroundings } from "../test/harness/surroundings.ts"

dropSurroundings()

const { values: args } = parseArgs({
  options: {
    embedded: { type: "boolean", default: false },
    level: { type: "string", default: "open" },
    nodes: { type: "string", default: "10000" }
  }
})

const NODES = Number(args.nodes)
const AT_A_TIME = 500
const PROCESSES = 2
const LIMIT_KB = 12

const memory = new ServerMemory()

/** Two processes connect half each, 250 at a time: 500 registrations in flight. */
const connect = async (server: Trailsd): Promise<ReadonlyArray<ChildProcess>> => {
  const children = Array.from({ length: PROCESSES }, () =>
    fork(join(import.meta.dirname, "../test/system/stormClients.ts"))
  )
  const counts = await Promise.all(
    children.map(async (child) => {
      const start: StormStart = {
        do: "start",
        urls: [server.url],
        level: args.level as Level,
        count: NODES / PROCESSES,
        serverSeed: server.serverKey.secretKey
          .export({ format: "der", type: "pkcs8" })
          .subarray(-32)
          .toString("base64"),
        pingIntervalMs: 0,
        width: AT_A_TIME / PROCESSES
      }
      const answer = once(child, "message") as Promise<[StormCount]>
      child.send(start)
      return (await answer)[0]
    })
  )
  const attached = counts.reduce((sum, one) => sum + one.attached, 0)
  if (attached !== NODES) throw new Error(`${attached} of ${NODES} nodes are attached: ${JSON.stringify(counts)}`)
  return children
}

const postgres = args.embedded ? null : await Postgres.create()
const server = await Trailsd.start({
  ...(postgres === null ? {} : { databaseUrl: postgres.url }),
  nodeFlags: memory.nodeFlags,
  env: { ...memory.env, TRAILS_MIN_LEVEL: "open" }
})
let children: ReadonlyArray<ChildProcess> = []
try {
  const empty = await memory.measure(server)
  children = await connect(server)
  const full = await memory.measure(server)
  const perNode = (pick: (memory: Memory) => number) => (pick(full) - pick(empty)) / 1024 / NODES
  const kb = {
    rss: perNode((memory) => memory.rss),
    ordinaryRss: perNode((memory) => memory.ordinaryRss),
    heapUsed: perNode((memory) => memory.heapUsed),
    external: perNode((memory) => memory.external)
  }
  console.log(
    `${NODES} idle ${args.level} nodes: ${kb.rss.toFixed(1)} KB resident each above the empty server ` +
      `(heap ${kb.heapUsed.toFixed(1)} KB, external ${kb.external.toFixed(1)} KB; with the pages that the connecting left behind ` +
      `${kb.ordinaryRss.toFixed(1)} KB); empty ${(empty.rss / 2 ** 20).toFixed(0)} MB, full ${(full.rss / 2 ** 20).toFixed(0)} MB`
  )
  console.log(
    JSON.stringify({
      bench: "idle",
      storage: args.embedded ? "embedded" : "postgres",
      nodes: NODES,
      level: args.level,
      empty,
      full,
      kbPerNode: kb
    })
  )
  process.exitCode = kb.rss <= LIMIT_KB ? 0 : 1
} finally {
  for (const child of children) child.disconnect()
  await server.dispose()
  await postgres?.dispose()
  memory.dispose()
}
