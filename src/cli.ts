import { enableCompileCache } from "node:module"
import { compileCacheFolder } from "./cli/CompileCache.ts"

// Set here and not by NODE_COMPILE_CACHE: a variable would be inherited by every command that `trails run` starts.
const folder = compileCacheFolder()
if (folder !== null) enableCompileCache(folder)

const { main } = await import("./cli/Program.ts")
await main(process.argv.slice(2))
