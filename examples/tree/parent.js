// A parent starts three processes and tells, for each, what it produced or why exactly it failed.
//
//   TRAILS_SERVER=ws://127.0.0.1:8443/ws node tree/parent.js     a root of its own, level open
//   TRAILS_INFO=… node tree/parent.js                            the node that somebody has declared
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { init } from "@trailsd/client"

const serverEp = process.env.TRAILS_SERVER ?? "ws://127.0.0.1:8443/ws"
const parent = await init(process.env.TRAILS_INFO ? {} : { root: { appName: "example-tree", serverEp } })

if (!(await parent.ready({ timeoutMs: 10_000 }))) {
  console.error(`no trailsd at the other end (${parent.stats().reason}): start one with npm start`)
  process.exit(1)
}

const script = fileURLToPath(new URL("child.js", import.meta.url))
const flags = process.versions.deno === undefined ? [] : ["run", "-A"]

/** Declares a child, starts its process with the child's own TRAILS_INFO, and waits for its end. */
const run = async (name) => {
  const child = await parent.createChild(name, { tags: { example: "tree" } })
  child.onEvent(({ data }) => console.log(`${name}: ${data.kind}`))
  spawn(process.execPath, [...flags, script, name], {
    stdio: ["ignore", "inherit", "ignore"],
    env: { ...process.env, ...child.env }
  })
  const outcome = await child.wait({ timeoutMs: 60_000 })
  return {
    child: name,
    state: outcome?.state,
    result: outcome?.result,
    error: outcome?.error?.message,
    reason: outcome?.reason
  }
}

const outcomes = await Promise.all(["succeeds", "fails", "crashes"].map(run))
console.table(outcomes)
parent.result({ outcomes })
process.exitCode = (await parent.shutdown({ timeoutMs: 30_000 })) ? 0 : 1
