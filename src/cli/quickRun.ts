import { explain } from "./explain.ts"
import { readRunWords } from "./RunOptions.ts"
import { startRun } from "./startRun.ts"

/** `args` without the program's own name. Resolves to false when it is for the whole program to say what is to be done. */
export const quickRun = async (args: ReadonlyArray<string>): Promise<boolean> => {
  const words = args[0] === "run" ? readRunWords(args.slice(1)) : null
  if (words === null) return false
  try {
    await startRun(words)
  } catch (error) {
    process.exitCode = explain(error)
  }
  return true
}
