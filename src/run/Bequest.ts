import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { HandOver } from "../client/HandOver.ts"
import type { ShownProcess } from "./runPlatform.ts"

const START = fileURLToPath(new URL("../../bin/start.cjs", import.meta.url))

/** What the reporter reads from its stdin. */
export interface Bequest {
  readonly handOver: HandOver
  /** base64 */
  readonly seed: string
  readonly shown: ShownProcess
}

/** Resolves as soon as the reporter has read it all, or is known not to: to whether it has. */
export const bequeath = (bequest: Bequest): Promise<boolean> =>
  new Promise((resolve) => {
    const reporter = spawn(process.execPath, [START, fileURLToPath(new URL("./reporterMain.ts", import.meta.url))], {
      cwd: "/",
      detached: true,
      env: {},
      stdio: ["pipe", "ignore", "ignore"]
    })
    reporter.once("error", () => resolve(false))
    reporter.once("exit", () => resolve(false))
    reporter.stdin.once("error", () => resolve(false))
    reporter.stdin.end(JSON.stringify(bequest), () => resolve(true))
    reporter.unref()
  })
