// The launchers give this to Node, with the entry and its arguments: `node start.cjs src/cli.ts run -- make`. Node strips and
// compiles TypeScript at each start unless its cache is on before the first of it. CommonJS, because Node loads it, and what
// it loads in turn, in half the time: the command of `trails run` waits for that.
const { closeSync, fstatSync } = require("node:fs")
const { enableCompileCache } = require("node:module")
const { dirname, join } = require("node:path")
const { compileCacheFolder } = require("./compileCache.cjs")
const { freshBundle } = require("./freshBundle.cjs")

// Not by NODE_COMPILE_CACHE: a variable would be inherited by every command that `trails run` starts.
const cache = compileCacheFolder()
if (cache !== null) enableCompileCache(cache)

const [, , entry] = process.argv
process.argv.splice(1, 1)

// Node ends with setting a terminal's modes back to what they were at its start, from the background, too: whoever types at
// the shell's prompt meanwhile, or into another program, would have theirs changed. It leaves alone what is closed.
process.on("exit", () => {
  for (const fd of [0, 1, 2]) {
    try {
      if (fstatSync(fd).isCharacterDevice()) closeSync(fd)
    } catch {
      // It was closed before.
    }
  }
})

const main = async () => {
  if (process.argv[2] === "run") {
    const isSource = entry.endsWith(".ts")
    const bundle = freshBundle(
      isSource ? join(__dirname, "../node_modules/.cache/trails-run") : join(dirname(entry), "run-bundle")
    )
    if (bundle !== null && (await require(join(bundle, "quickRun.cjs")).quickRun(process.argv.slice(2)))) return
  }
  await import(require("node:url").pathToFileURL(entry).href)
}

void main()
