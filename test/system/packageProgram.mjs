// Runs in whatever has the packed client installed (package.test.ts): reports, and ends as it is told to.
import { init } from "@trailsd/client"

const [ending] = process.argv.slice(2)
const serverEp = process.env.TRAILS_SERVER
const BOUNDED = { timeoutMs: 20_000 }
/** Longer than the silence after which a socket is given up, where pings are not seen: twice the interval and 5 s. */
const QUIET_MS = 6000

const node = await init({
  pingIntervalMs: 200,
  ...(serverEp === undefined ? {} : { root: { appName: ending, serverEp } })
})
node.status({ ending })

const say = (facts) => console.log(JSON.stringify({ appId: node.appId, isActive: node.isActive, ...facts }))

/** A task of this very process with an identity of its own, on the same socket; its parent is told of its end. */
const delegate = async () => {
  const child = await node.createChild("part", { tags: { ending } })
  const declared = await child.declared
  const part = await init({ info: child.info })
  part.result(Uint8Array.of(1, 2, 3))
  const stored = await part.shutdown(BOUNDED)
  const outcome = await child.wait(BOUNDED)
  return { childId: child.appId, declared, stored, state: outcome?.state, bytes: [...(outcome?.result ?? [])] }
}

switch (ending) {
  case "result":
    node.result({ by: "result" })
    say({ stored: await node.shutdown(BOUNDED) })
    break
  case "delegates": {
    const part = await delegate()
    node.result({ by: "delegates" })
    say({ stored: await node.shutdown(BOUNDED), part })
    break
  }
  case "quiet":
    await node.ready(BOUNDED)
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS))
    node.result({ by: "quiet" })
    say({ stored: await node.shutdown(BOUNDED), reconnects: node.stats().reconnects })
    break
  case "idle":
    // Nothing is left to do: the exit hook says goodbye.
    say({})
    break
  case "throws":
    say({ ready: await node.ready(BOUNDED) })
    throw new Error("the disk is full", { cause: new Error("ENOSPC") })
  case "exits":
    say({ ready: await node.ready(BOUNDED) })
    process.exit(3)
}
