/**
 * What `status()` costs its caller: nanoseconds and allocated bytes per call, and the slowest calls against the 5 ms of
 * invariant P19. The last line is JSON; the exit code is 1 when a 99.9th
 * percentile of CPU time misses the limit.
 */
import { loadavg } from "node:os"
import { makeInit } from "../src/client/init.ts"
import { nodePlatform } from "../src/client/NodePlatform.ts"
import type { TrailsNode } from "../src/client/TrailsNode.ts"
import type { Level } from "../src/protocol/Frames.ts"
import { freePort } from "../test/harness/freePort.ts"
import { makeEnvelope } from "../test/harness/TestEnvelope.ts"
import { Trailsd } from "../test/harness/Trailsd.ts"
import { waitUntil } from "../test/harness/waitUntil.ts"
import { percentile, showSpread, type Spread, spreadOf } from "./spread.ts"
import { dropSurroundings } from "../test/harness/surroundings.ts"

dropSurroundings()

const RUNS = 9
const WARM_UP = 3
const LIMIT_MS = 5

const PAYLOADS = {
  small: { step: 7, of: 100, file: "orders.csv" },
  "1 KiB": { step: 7, text: "x".repeat(1000) }
} as const

type Way = "attached" | "offline" | "full"

/** A run, as long as there is room in the buffer; attached, everything has to be acked in between. */
const CALLS: Readonly<Record<Way, number>> = { attached: 500, offline: 2000, full: 2000 }

interface Cell {
  readonly payload: keyof typeof PAYLOADS
  readonly level: Level
  readonly way: Way
  readonly nsPerCall: Spread
  readonly bytesPerCall: number
  readonly p999Ms: number
  readonly maxMs: number
  readonly p999CpuMs: number
  readonly maxCpuMs: number
  readonly overLimit: number
}

const { gc } = globalThis
if (gc === undefined)
  throw new Error("run it by npm run bench:status: it needs --expose-gc and a large young generation")

const loadBefore = loadavg()[0]
const server = await Trailsd.start()
const nowhere = `ws://127.0.0.1:${await freePort()}/ws`
const init = makeInit({ ...nodePlatform, watchExit: () => {} })

const nodeOf = (level: Level, way: Way): Promise<TrailsNode> => {
  const { info } = makeEnvelope(
    {
      serverEp: way === "attached" ? server.url : nowhere,
      serverPubKey: server.serverKey.text,
      secLevel: level,
      startDeadline: 0
    },
    level === "open" ? null : server.serverKey
  )
  return init({ info })
}

/** Between runs: whatever is on its way has been acked, or the node starts from an empty buffer. */
const settled = async (node: TrailsNode): Promise<void> => {
  await waitUntil("everything is acked", () => node.stats().waiting === 0, { withinMs: 60_000, everyMs: 2 })
}

/** Of this thread: what it did itself, without what the machine gave its core to meanwhile. */
const cpuMs = (): number => {
  const { system, user } = process.threadCpuUsage()
  return (user + system) / 1000
}

const fill = (node: TrailsNode, payload: unknown): void => {
  for (let i = 0; i < 10_001; i++) node.status(payload)
}

const measure = async (payload: keyof typeof PAYLOADS, level: Level, way: Way): Promise<Cell> => {
  const value = PAYLOADS[payload]
  const calls = CALLS[way]
  const costs: Array<number> = []
  const allocations: Array<number> = []
  const single: Array<number> = []
  const cpuSingle: Array<number> = []
  let node = await nodeOf(level, way)
  if (way === "attached") await node.ready()
  if (way === "full") fill(node, value)
  for (let run = 0; run < WARM_UP + RUNS; run++) {
    const isMeasured = run >= WARM_UP
    gc()
    const heap = process.memoryUsage().heapUsed
    const started = performance.now()
    for (let i = 0; i < calls; i++) node.status(value)
    const took = performance.now() - started
    // No collection happens in between: the young generation has room for all of it.
    const allocated = process.memoryUsage().heapUsed - heap
    if (isMeasured) {
      costs.push((took * 1e6) / calls)
      allocations.push(allocated / calls)
    }
    if (way === "attached") await settled(node)
    for (let i = 0; i < calls; i++) {
      const cpu = cpuMs()
      const before = performance.now()
      node.status(value)
      if (!isMeasured) continue
      single.push(performance.now() - before)
      cpuSingle.push(cpuMs() - cpu)
    }
    if (way === "attached") await settled(node)
    if (way === "offline") {
      await node.shutdown({ timeoutMs: 0 })
      node = await nodeOf(level, way)
    }
  }
  await node.shutdown({ timeoutMs: way === "attached" ? 5000 : 0 })
  const sorted = Float64Array.from(single).sort()
  const sortedCpu = Float64Array.from(cpuSingle).sort()
  return {
    payload,
    level,
    way,
    nsPerCall: spreadOf(costs),
    bytesPerCall: Math.round(spreadOf(allocations).median),
    p999Ms: percentile(sorted, 99.9),
    maxMs: sorted.at(-1)!,
    p999CpuMs: percentile(sortedCpu, 99.9),
    maxCpuMs: sortedCpu.at(-1)!,
    overLimit: single.filter((took) => took > LIMIT_MS).length
  }
}

const cells: Array<Cell> = []
try {
  for (const way of ["attached", "offline", "full"] as const)
    for (const level of ["open", "signed"] as const)
      for (const payload of ["small", "1 KiB"] as const) {
        const cell = await measure(payload, level, way)
        cells.push(cell)
        const { bytesPerCall, maxCpuMs, maxMs, nsPerCall, overLimit, p999CpuMs, p999Ms } = cell
        console.log(
          `${way.padEnd(9)}${level.padEnd(7)}${payload.padEnd(6)} ${showSpread(nsPerCall)} ns, ${bytesPerCall} bytes, p99.9 ${p999Ms.toFixed(3)} ms, max ${maxMs.toFixed(3)} ms (CPU ${p999CpuMs.toFixed(3)}, ${maxCpuMs.toFixed(3)}), ${overLimit} of ${RUNS * CALLS[way]} over ${LIMIT_MS} ms`
        )
      }
} finally {
  await server.dispose()
}
console.log(JSON.stringify({ limitMs: LIMIT_MS, loadBefore, cells }))
process.exitCode = cells.every(({ p999CpuMs }) => p999CpuMs <= LIMIT_MS) ? 0 : 1
