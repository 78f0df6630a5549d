import { readdirSync, readFileSync } from "node:fs"

export interface Memory {
  readonly rssKib: number
  /** Shared pages divided among those that share them. */
  readonly pssKib: number
}

/** Null: the process is gone. */
export const memoryOf = (pid: number): Memory | null => {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, "latin1")
    const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1])
    return { rssKib: kib("Rss"), pssKib: kib("Pss") }
  } catch {
    return null
  }
}

/** Wrappers among the processes below `top`, itself included: those that run a Node. */
export const wrappersBelow = (top: number): ReadonlyArray<number> => {
  const children = new Map<number, Array<number>>()
  const nodes = new Set<number>()
  for (const name of readdirSync("/proc")) {
    try {
      const stat = /^\d+$/.test(name) ? readFileSync(`/proc/${name}/stat`, "latin1") : ""
      const [, command = "", parent = "0"] = /^\d+ \((.*)\) \S+ (\d+) /s.exec(stat) ?? []
      const siblings = children.get(Number(parent)) ?? []
      children.set(Number(parent), siblings)
      siblings.push(Number(name))
      // Node calls its main thread so since 24.
      if (command === "node" || command === "MainThread") nodes.add(Number(name))
    } catch {
      // It has ended meanwhile.
    }
  }
  const found: Array<number> = []
  const visit = (pid: number): void => {
    if (nodes.has(pid)) found.push(pid)
    for (const child of children.get(pid) ?? []) visit(child)
  }
  visit(top)
  return found
}
