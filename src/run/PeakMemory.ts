import { readdirSync, readFileSync } from "node:fs"

/** Pages of every kernel that has this /proc: x64, and arm64 with its usual configuration. */
const PAGE_KIB = 4
/** Between two looks at the first process, milliseconds: short commands are seen too, long ones cost little. */
const FIRST_MS = 5
const LONGEST_MS = 500
/** Looking through all processes may take this part of the time: hundreds of runs may be under way. */
const SHARE = 0.002

interface Process {
  readonly pid: number
  readonly parent: number
  readonly session: number
  readonly rssKib: number
}

/** From /proc/PID/stat; null: it is gone. */
const look = (pid: string): Process | null => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
    // The name in parentheses may contain anything.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return {
      pid: Number(pid),
      parent: Number(fields[1]),
      session: Number(fields[3]),
      rssKib: Number(fields[21]) * PAGE_KIB
    }
  } catch {
    return null
  }
}

const processes = (): ReadonlyArray<Process> => {
  try {
    const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name))
    return pids.map(look).filter((found) => found !== null)
  } catch {
    return []
  }
}

/** Those of the command: its session, where it leads one, else what descends from it. Nested runs count their own. */
const belonging = (leader: number): ReadonlyArray<Process> => {
  const all = processes()
  const top = all.find(({ pid }) => pid === leader)
  if (top === undefined) return []
  if (top.session === leader) return all.filter(({ session }) => session === leader)
  const known = new Set([leader])
  // A parent usually has the smaller number, but numbers start anew.
  for (let before = 0; before < known.size;) {
    before = known.size
    for (const { parent, pid, session } of all) if (session === top.session && known.has(parent)) known.add(pid)
  }
  return all.filter(({ pid }) => known.has(pid))
}

/** The largest size that one process ever had since its program was loaded, KiB. */
const highWater = (pid: number): number => {
  try {
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? 0)
  } catch {
    return 0
  }
}

const resident = (leader: number): number => belonging(leader).reduce((sum, { rssKib }) => sum + rssKib, 0)

/**
 * The peak of a command's memory, by samples: a rise that is over between two of them is missed, except in the command's
 * first process, of which the kernel keeps the peak. Node tells nothing of what a child has used. Needs /proc.
 */
export class PeakMemory {
  readonly #leader: number
  #peak = 0
  #scanAt = performance.now() + FIRST_MS * 4
  #timer: NodeJS.Timeout

  constructor(leader: number) {
    this.#leader = leader
    this.#timer = setTimeout(() => this.#look(FIRST_MS), FIRST_MS)
  }

  /** KiB; null: never seen. */
  get kib(): number | null {
    return this.#peak === 0 ? null : this.#peak
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  #look(after: number): void {
    this.#peak = Math.max(this.#peak, highWater(this.#leader))
    if (performance.now() >= this.#scanAt) this.#scan()
    const next = Math.min(after * 2, LONGEST_MS)
    this.#timer = setTimeout(() => this.#look(next), next)
  }

  #scan(): void {
    const before = performance.now()
    this.#peak = Math.max(this.#peak, resident(this.#leader))
    const now = performance.now()
    this.#scanAt = now + (now - before) / SHARE
  }
}
