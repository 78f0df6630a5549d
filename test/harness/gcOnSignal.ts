/**
 * Preloaded into a server under measurement (`--expose-gc --import`): on SIGUSR2 it collects garbage and writes what is
 * left to BENCH_MEMORY_FILE. The server itself has no such door.
 */
import { renameSync, writeFileSync } from "node:fs"

const file = process.env["BENCH_MEMORY_FILE"]

type Collect = (options: {
  readonly type: "major"
  readonly execution: "sync"
  readonly flavor: "regular" | "last-resort"
}) => void
const collect = globalThis.gc as Collect | undefined

process.on("SIGUSR2", () => {
  if (file === undefined || collect === undefined) return
  collect({ type: "major", execution: "sync", flavor: "regular" })
  const ordinaryRss = process.memoryUsage.rss()
  // An ordinary collection keeps emptied pages for the next burst; this one compacts and gives them back.
  collect({ type: "major", execution: "sync", flavor: "last-resort" })
  setTimeout(() => {
    collect({ type: "major", execution: "sync", flavor: "last-resort" })
    writeFileSync(`${file}.new`, JSON.stringify({ ...process.memoryUsage(), ordinaryRss }))
    renameSync(`${file}.new`, file)
  }, 1000)
})
