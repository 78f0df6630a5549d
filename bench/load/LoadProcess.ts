/** A process full of nodes, forked and commanded by `LoadRun`. Without its parent it ends. */
import type { Command, News } from "./LoadPlan.ts"
import { NodeGroup } from "./NodeGroup.ts"

const NEWS_MS = 250

const tell = (news: News) => new Promise<void>((resolve) => void process.send?.(news, () => resolve()))

let group: NodeGroup | null = null
let go = () => {}
const started = new Promise<void>((resolve) => {
  go = resolve
})

const work = async (all: NodeGroup): Promise<void> => {
  const news = setInterval(() => {
    void tell({ is: "counts", counts: all.tally.counts, trouble: all.tally.trouble })
  }, NEWS_MS)
  await all.attach()
  await tell({ is: "attached" })
  await started
  await all.send()
  await all.leave()
  clearInterval(news)
  await tell({ is: "done", report: all.report })
  process.disconnect()
  process.exit(0)
}

process.on("message", (command: Command) => {
  if (command.do === "start") void work((group = new NodeGroup(command.plan)))
  else if (command.do === "go") go()
  else if (command.do === "stop") group?.stop()
  else group?.finish()
})
process.on("disconnect", () => process.exit(0))
// A terminal sends Ctrl-C to all of them: the parent says what it means.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {})
await tell({ is: "ready" })
