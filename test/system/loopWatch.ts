/**
 * Preloaded into a server under test: prints each standstill of its event loop with the CPU time that the main thread had
 * in it, which tells our own work from waiting for a processor that others use.
 */
import { isMainThread } from "node:worker_threads"

const EVERY_MS = 10
const WORTH_MS = 50

if (isMainThread) {
  let wall = performance.now()
  let cpu = process.threadCpuUsage()
  setInterval(() => {
    const used = process.threadCpuUsage(cpu)
    const now = performance.now()
    const stood = now - wall - EVERY_MS
    if (stood >= WORTH_MS) {
      const worked = (used.user + used.system) / 1000
      process.stderr.write(`loop stood still for ${Math.round(stood)} ms, cpu ${Math.round(worked)} ms\n`)
    }
    wall = now
    cpu = process.threadCpuUsage()
  }, EVERY_MS).unref()
}
