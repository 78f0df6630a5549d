// Preloaded into a wrapper (NODE_OPTIONS): writes to MARK_SPAWN_FILE how long it took from here, which is just before its
// first line, until the process of its command was there. Milliseconds.
const { writeFileSync } = require("node:fs")
const { subscribe } = require("node:diagnostics_channel")

const first = performance.now()
subscribe("child_process", ({ process: child }) => {
  child.once("spawn", () => {
    // The pipes and the watchdog come before it.
    if (!child.spawnargs.includes("trails run")) return
    writeFileSync(process.env["MARK_SPAWN_FILE"], String(performance.now() - first))
  })
})
