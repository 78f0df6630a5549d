// What runs in each of the three processes: two lines make it a node of the tree, whatever it then does.
import { setTimeout as pause } from "node:timers/promises"
import { init } from "@trailsd/client"

const node = await init()
const stepMs = Number(process.env.STEP_MS ?? 100)

for (let step = 1; step <= 5; step++) {
  node.status({ step, of: 5 })
  await pause(stepMs)
}
// A process that dies has no time to wait for a server that is away: until here everything is stored.
while (node.stats().waiting > 0) await pause(10)

switch (process.argv[2]) {
  case "fails":
    // Nothing has to be caught for it: the exit hook sends the error.
    throw new Error("the disk is full", { cause: new Error("ENOSPC: write to /data/orders") })
  case "crashes":
    // No last word: the server notices by itself.
    process.kill(process.pid, "SIGKILL")
    break
  default:
    node.result({ rows: 1234 })
    await node.shutdown({ timeoutMs: 30_000 })
}
