/** A process that is one node under a seed that its parent can look for. It reports, is asked to end by its stdin. */
import { inspect } from "node:util"
import { init } from "../../../src/client/index.ts"

// Known to this process alone until it says so: not by argument, environment or file.
const seed = await new Promise<Buffer>((resolve) => process.stdin.once("data", (data: Buffer) => resolve(data)))
const node = await init({ seed: Uint8Array.from(seed) })
seed.fill(0)
await node.ready()
node.status({ shown: inspect(node, { depth: 10, showHidden: true }), json: JSON.stringify(node) })
console.log(inspect(node, { depth: 10, showHidden: true }), JSON.stringify(node), node.context, node.stats())
process.stdin.once("data", () => {
  node.error(new Error("it ends"), undefined)
  void node.shutdown({ timeoutMs: 30_000 }).then((stored) => {
    console.log(`stored: ${stored}`)
    process.exit(0)
  })
})
