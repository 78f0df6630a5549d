/**
 * What `trails run` costs: from its first line to its command's process; its whole time and CPU beside those of the bare
 * command and of a bare Node; the memory of an idle wrapper; and many runs at once under one root. The last line is JSON; the
 * exit code is 1 when a run of the many is lost, or a limit is missed.
 */
import { loadavg } from "node:os"
import { parseArgs } from "node:util"
import { dropSurroundings } from "../test/harness/surroundings.ts"
import { Trailsd } from "../test/harness/Trailsd.ts"
import { waitUntil } from "../test/harness/waitUntil.ts"
import { Tree } from "../test/system/run/Tree.ts"
import { BenchUser, type Cost, TRAILS } from "./run/BenchUser.ts"
import { manyRuns } from "./run/ManyRuns.ts"
import { type Memory, memoryOf } from "./run/memory.ts"
import { showSpread, spreadOf } from "./spread.ts"

dropSurroundings()

const { values: args } = parseArgs({
  options: {
    rounds: { type: "string", default: "15" },
    parallel: { type: "string", default: "200" },
    seconds: { type: "string", default: "10" },
    restart: { type: "boolean", default: false }
  }
})
const ROUNDS = Number(args.rounds)
const WARM_UP = 2
const IDLE = 5
/** What an idle wrapper has still to do after it is attached, milliseconds. */
const SETTLE_MS = 5000
const LIMIT_SPAWN_MS = 20
const LIMIT_HELP_MS = 250

/** Every round measures each of them once, so that what else the machine does meets all alike. */
const MEASURED = {
  command: ["true"],
  node: [process.execPath, "-e", "0"],
  run: [TRAILS, "run", "--name", "measured", "--", "true"],
  help: [TRAILS, "--help"]
} as const satisfies Record<string, readonly [string, ...Array<string>]>

type Name = keyof typeof MEASURED

const single = async (user: BenchUser) => {
  const costs: Record<Name, Array<Cost>> = { command: [], node: [], run: [], help: [] }
  const spawns: Array<number> = []
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    const spawned = await user.spawnMs()
    if (round >= 0) spawns.push(spawned)
    for (const name of Object.keys(costs) as ReadonlyArray<Name>) {
      const [command, ...rest] = MEASURED[name]
      const cost = await user.cost(command, rest)
      if (round >= 0) costs[name].push(cost)
    }
  }
  const wall = (name: Name) => spreadOf(costs[name].map(({ wallMs }) => wallMs))
  // The kernel counts in ticks of 10 ms: only the mean of many says something.
  const cpu = (name: Name) => costs[name].reduce((sum, { cpuMs }) => sum + cpuMs, 0) / ROUNDS
  const names = Object.keys(costs) as ReadonlyArray<Name>
  return {
    firstLineToSpawnMs: spreadOf(spawns),
    wallMs: Object.fromEntries(names.map((name) => [name, wall(name)])),
    cpuMs: Object.fromEntries(names.map((name) => [name, cpu(name)])),
    runOverNode: { wall: wall("run").median / wall("node").median, cpu: cpu("run") / cpu("node") },
    runOverCommand: { wall: wall("run").median / wall("command").median },
    help: wall("help")
  }
}

const idle = async (server: Trailsd, user: BenchUser) => {
  const tree = new Tree(() => server.http)
  const wrappers = Array.from({ length: IDLE }, () =>
    user.leashed(TRAILS, ["run", "--name", "idle", "--", "sleep", "600"])
  )
  try {
    const running = async () => (await tree.named("idle")).filter(({ status }) => status === "running").length === IDLE
    await waitUntil("all idle wrappers are attached", running, { withinMs: 60_000 })
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
    const sizes = wrappers.map(({ pid }) => memoryOf(pid!)).filter((size): size is Memory => size !== null)
    return {
      rssMib: spreadOf(sizes.map(({ rssKib }) => rssKib / 1024)),
      pssMib: spreadOf(sizes.map(({ pssKib }) => pssKib / 1024))
    }
  } finally {
    await Promise.all(
      wrappers.map(async (wrapper) => {
        const over = BenchUser.ended(wrapper)
        wrapper.kill("SIGTERM")
        await over
      })
    )
  }
}

const loadBefore = loadavg()[0]!
const server = await Trailsd.start()
const user = new BenchUser(server)
try {
  const one = await single(user)
  const { cpuMs, firstLineToSpawnMs, runOverNode, wallMs } = one
  console.log(`first line → command: ${showSpread(firstLineToSpawnMs)} ms (load ${loadBefore.toFixed(1)} before)`)
  for (const name of Object.keys(MEASURED))
    console.log(`${name.padEnd(8)} ${showSpread(wallMs[name]!)} ms, ${cpuMs[name]!.toFixed(0)} ms of CPU`)
  console.log(`run / bare node: ${runOverNode.wall.toFixed(1)} × wall, ${runOverNode.cpu.toFixed(1)} × CPU`)
  const wrapper = await idle(server, user)
  console.log(`idle wrapper: RSS ${showSpread(wrapper.rssMib)} MiB, PSS ${showSpread(wrapper.pssMib)} MiB of ${IDLE}`)
  const plan = { count: Number(args.parallel), seconds: Number(args.seconds), restart: args.restart }
  const many = plan.count === 0 ? null : await manyRuns(server, user, plan)
  if (many !== null)
    console.log(
      `${many.count} at once, each of ${many.seconds} s${many.restart ? ", trailsd killed and started again" : ""}: ` +
        `${many.done} done, ${many.lost} lost, ${many.wrongVerdicts} wrong verdicts on the way, ` +
        `${(many.wallMs / 1000).toFixed(1)} s, ${many.peakWrappers} wrappers with ${many.peakPssMib.toFixed(0)} MiB PSS at the peak`
    )
  const limits = { firstLineToSpawnMs: LIMIT_SPAWN_MS, helpMs: LIMIT_HELP_MS }
  console.log(JSON.stringify({ bench: "run", loadBefore, limits, rounds: ROUNDS, ...one, wrapper, many }))
  const isGood =
    firstLineToSpawnMs.median <= LIMIT_SPAWN_MS && one.help.median < LIMIT_HELP_MS && (many === null || many.lost === 0)
  process.exitCode = isGood ? 0 : 1
} finally {
  user.dispose()
  await server.dispose()
}
