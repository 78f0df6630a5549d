// The launchers give this to Node, with the entry and its arguments: `node start.mjs src/cli.ts run -- make`. Node strips and
// compiles TypeScript at each start unless its cache is on before the first of it.
import { enableCompileCache } from "node:module"
import { pathToFileURL } from "node:url"
import { compileCacheFolder } from "./compileCache.mjs"

// Not by NODE_COMPILE_CACHE: a variable would be inherited by every command that `trails run` starts.
const folder = compileCacheFolder()
if (folder !== null) enableCompileCache(folder)

process.argv.splice(1, 1)
await import(pathToFileURL(process.argv[1]).href)
