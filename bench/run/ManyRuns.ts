import { Tree } from "../../test/system/run/Tree.ts"
import type { Trailsd } from "../../test/harness/Trailsd.ts"
import { waitUntil } from "../../test/harness/waitUntil.ts"
import { BenchUser, TRAILS } from "./BenchUser.ts"
import { memoryOf, wrappersBelow } from "./memory.ts"

export interface ManyPlan {
  readonly count: number
  /** How long each command takes. */
  readonly seconds: number
  /** trailsd is killed with -9 and started again while they run. */
  readonly restart: boolean
}

export interface ManyOutcome extends ManyPlan {
  /** From the start of the root until every node has ended in the tree. */
  readonly wallMs: number
  readonly done: number
  readonly lost: number
  /** Nodes by status, at the end. */
  readonly statuses: Readonly<Record<string, number>>
  /** How often a node was taken for crashed or lost, though none was. */
  readonly wrongVerdicts: number
  readonly peakWrappers: number
  readonly peakPssMib: number
}

const END_MS = 600_000
const SAMPLE_MS = 2000
const PAGE = 500

/** Runs all at once under one root, each a command that sleeps. */
export const manyRuns = async (server: Trailsd, user: BenchUser, plan: ManyPlan): Promise<ManyOutcome> => {
  const { count, restart, seconds } = plan
  if (count > PAGE) throw new Error(`at most ${PAGE} runs: they are read in one page`)
  const tree = new Tree(() => server.http)
  const script = `i=0; while [ $i -lt ${count} ]; do i=$((i+1)); trails run --name job -- sleep ${seconds} & done; wait`
  const name = `many ${process.pid} ${performance.now()}`
  const started = performance.now()
  const top = user.leashed(TRAILS, ["run", "--name", name, "--", "sh", "-c", script])
  let peakWrappers = 0
  let peakPssMib = 0
  const timer = setInterval(() => {
    const sizes = wrappersBelow(top.pid!).map((pid) => memoryOf(pid)?.pssKib ?? 0)
    peakWrappers = Math.max(peakWrappers, sizes.length)
    peakPssMib = Math.max(peakPssMib, sizes.reduce((sum, size) => sum + size, 0) / 1024)
  }, SAMPLE_MS)
  try {
    const ended = BenchUser.ended(top)
    const root = await tree.node(name, () => true, END_MS)
    const statuses = async (): Promise<Record<string, number>> => {
      const counts: Record<string, number> = {}
      for (const { status } of await tree.children(root)) counts[status] = (counts[status] ?? 0) + 1
      return counts
    }
    if (restart) {
      // Whatever has become of them: where the start of so many takes longer than each of them, some have ended by then.
      const half = async () => (await tree.children(root)).length >= count / 2
      await waitUntil("half of the runs are there", half, { withinMs: END_MS, everyMs: 250 })
      await server.kill()
      await server.start()
    }
    const code = await ended
    if (code !== 0) throw new Error(`the root of ${count} runs ended with ${code}`)
    // What a reporter in the background still has to tell comes within its 10 minutes.
    const isOver = async () => ((await statuses())["done"] ?? 0) === count
    await waitUntil("every run is done", isOver, { withinMs: END_MS, everyMs: 500 }).catch(() => {})
    const wallMs = performance.now() - started
    const last = await statuses()
    const done = last["done"] ?? 0
    let wrongVerdicts = 0
    for (const row of await tree.children(root))
      wrongVerdicts += (await tree.log(row)).filter(({ kind }) => kind === "crash" || kind === "lost_contact").length
    return { ...plan, wallMs, done, lost: count - done, statuses: last, wrongVerdicts, peakWrappers, peakPssMib }
  } finally {
    clearInterval(timer)
    if (top.exitCode === null && top.signalCode === null) top.kill("SIGTERM")
  }
}
