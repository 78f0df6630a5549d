import { spawn } from "node:child_process"

/**
 * Ties a process to this one: when this process dies in whatever way, `kill -9` included, the pipe that the watchdog
 * reads ends and it kills `pid`. Call the returned function once `pid` is gone, before its number can be used again.
 */
export const leash = (pid: number): (() => void) => {
  const watchdog = spawn("sh", ["-c", `cat > /dev/null; kill -s KILL ${pid}`], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true
  })
  watchdog.unref()
  watchdog.stdin.on("error", () => {})
  // A socket handle would keep this process alive for the watchdog's sake.
  const pipe: unknown = watchdog.stdin
  if (typeof pipe === "object" && pipe !== null && "unref" in pipe && typeof pipe.unref === "function") pipe.unref()
  return () => watchdog.kill("SIGKILL")
}
