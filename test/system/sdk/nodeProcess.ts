import { spawn } from "node:child_process"
import { join } from "node:path"
import { leash } from "../../harness/Leash.ts"

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stderr: string
}

/** Runs `oneNode.ts` as the node of this envelope; the environment is otherwise empty. */
export const nodeProcess = (info: string, ...args: ReadonlyArray<string>): Promise<Ended> => {
  const child = spawn(process.execPath, [join(import.meta.dirname, "oneNode.ts"), ...args], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { PATH: process.env["PATH"], TRAILS_INFO: info }
  })
  const unleash = leash(child.pid!)
  let stderr = ""
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()))
  return new Promise((resolve) =>
    child.once("close", (code, signal) => {
      unleash()
      resolve({ code, signal, stderr })
    })
  )
}
