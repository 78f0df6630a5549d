import { readdirSync, readFileSync } from "node:fs"

const MOST_MS = 5000

/** The state of a thread is what follows the last parenthesis of its line: names may hold anything. */
const isStopped = (path: string): boolean => {
  try {
    const stat = readFileSync(path, "utf8")
    return stat.slice(stat.lastIndexOf(")") + 2).startsWith("T")
  } catch {
    // It has ended meanwhile: the next look does not find it.
    return false
  }
}

/** SIGSTOP; returns when every thread of the process stands: until then some of them may go on to answer. */
export const freeze = (pid: number): void => {
  process.kill(pid, "SIGSTOP")
  const until = performance.now() + MOST_MS
  const tasks = `/proc/${pid}/task`
  const pause = new Int32Array(new SharedArrayBuffer(4))
  while (!readdirSync(tasks).every((task) => isStopped(`${tasks}/${task}/stat`))) {
    if (performance.now() > until) throw new Error(`process ${pid} did not stop within ${MOST_MS} ms`)
    Atomics.wait(pause, 0, 0, 1)
  }
}
