/**
 * `npm run cluster [-- --replicas N] [--nats N] [--signed]`: replicas of trailsd, a mesh of nats-servers and a Postgres on
 * loopback behind a balancer. Then a prompt, or lines from stdin, that break and mend them; `help` says how.
 */
import { createInterface } from "node:readline"
import { parseArgs } from "node:util"
import { dropSurroundings } from "../harness/surroundings.ts"
import { Cluster } from "./Cluster.ts"
import { runClusterLine } from "./ClusterPrompt.ts"
import { firstScreen } from "./ClusterScreen.ts"

dropSurroundings()

const EX_USAGE = 64
const EX_INTERRUPTED = 130
/** npm hands a Ctrl-C on that the terminal has sent to all: that echo is not meant. */
const ECHO_MS = 500

const count = (name: string, text: string): number => {
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1 && value <= 9) return value
  console.error(`--${name} is a number from 1 to 9; not ${text}`)
  process.exit(EX_USAGE)
}

const options = () => {
  try {
    const { values } = parseArgs({
      options: {
        replicas: { type: "string", default: "3" },
        nats: { type: "string", default: "3" },
        signed: { type: "boolean", default: false }
      }
    })
    return values
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\nThere are --replicas, --nats, --signed.`)
    return process.exit(EX_USAGE)
  }
}

const { nats, replicas, signed } = options()
const terminal = process.stdin.isTTY && process.stdout.isTTY
let interruptedAt: number | null = null
let onInterrupt = (): void => {}

/** The first one stops in order, a second one ends this process at once; what it started is leashed to it. */
const interrupt = (): void => {
  const now = performance.now()
  if (interruptedAt !== null && now - interruptedAt > ECHO_MS) process.exit(EX_INTERRUPTED)
  if (interruptedAt !== null) return
  interruptedAt = now
  onInterrupt()
}
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, interrupt)

console.log("Starting a Postgres, nats-servers and replicas of trailsd ...")
const cluster = await Cluster.start({
  replicas: count("replicas", replicas),
  natsServers: count("nats", nats),
  jetstream: true,
  level: signed ? "signed" : "open"
}).catch((error: unknown) => {
  // A Ctrl-C of a terminal reaches what is being started, too.
  if (interruptedAt !== null) return process.exit(EX_INTERRUPTED)
  console.error(error instanceof Error ? error.message : String(error))
  return process.exit(1)
})
let failed = false
if (interruptedAt === null) {
  console.log(`\n${firstScreen(cluster, await cluster.state())}`)
  if (terminal) console.log("help lists what can be done here; Ctrl-C stops everything.")
  const lines = createInterface({ input: process.stdin, output: process.stdout, terminal, prompt: "cluster> " })
  onInterrupt = () => lines.close()
  // On a terminal readline takes Ctrl-C itself, and nobody else is sent it.
  lines.on("SIGINT", interrupt)
  if (terminal) lines.prompt()
  for await (const line of lines) {
    const said = await runClusterLine(cluster, line)
    if (said.text !== "") console.log(said.text)
    failed ||= said.failed
    if (said.quit || interruptedAt !== null) break
    if (terminal) lines.prompt()
  }
  lines.close()
}
console.log("Stopping everything ...")
await cluster.stop()
// A script learns by the exit code that one of its lines was not obeyed.
process.exit(interruptedAt !== null ? EX_INTERRUPTED : failed && !terminal ? 1 : 0)
