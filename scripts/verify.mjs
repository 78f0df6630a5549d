// Everything CI does: format, lint, layers, types, Postgres, other tools, tests. One line per step, the output of a step that failed,
// and a closing line of counts. With arguments (`npm test -- test/storage`): those tests alone.
import { spawn } from "node:child_process"
import { realpathSync } from "node:fs"
import { constants } from "node:os"
import { dirname, join } from "node:path"

process.chdir(dirname(import.meta.dirname))
const limitMinutes = 20
const filters = process.argv.slice(2)
const tool = (name) => realpathSync(join("node_modules/.bin", name))

const checks = [
  { name: "format", args: [tool("oxfmt"), "--check"], remedy: "npm run format" },
  { name: "lint", args: [tool("oxlint")] },
  { name: "layers", args: ["scripts/layers.mjs"] },
  { name: "types", args: ["scripts/typecheck.mjs"] }
]

let current = null
/** @type {string | null} */
let stoppedBy = null
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(name, () => {
    stoppedBy = name
    // A terminal sends Ctrl-C to the whole group; a second one would make vitest drop its clean-up.
    if (name !== "SIGINT" || !process.stdin.isTTY) current?.kill(name)
  })
}

/** Runs Node with `args`; resolves to its exit code, its output where that is piped, and the message that it sent. */
const run = (args, stdio) =>
  new Promise((resolve) => {
    const chunks = []
    let message
    const child = spawn(process.execPath, args, { stdio })
    current = child
    child.stdout?.on("data", (chunk) => chunks.push(chunk))
    child.stderr?.on("data", (chunk) => chunks.push(chunk))
    child.on("message", (received) => (message = received))
    child.once("error", (error) => chunks.push(Buffer.from(String(error))))
    child.once("close", (code, signal) => {
      current = null
      resolve({ code: code ?? exitCode(signal), output: Buffer.concat(chunks).toString(), message })
    })
  })

const line = (ok, name, detail, started) =>
  console.log(
    `${ok ? "ok  " : "FAIL"} ${name.padEnd(9)}${detail} (${((performance.now() - started) / 1000).toFixed(1)} s)`
  )

/** How a process ended by a signal reports itself to a shell. */
const exitCode = (signal) => 128 + (constants.signals[signal] ?? 0)

const total = { passed: 0, failed: 0, skipped: 0 }

const check = async ({ name, args, remedy }) => {
  const started = performance.now()
  const { code, output } = await run(args, ["ignore", "pipe", "pipe"])
  if (code === 0) total.passed++
  else total.failed++
  line(code === 0, name, code !== 0 && remedy !== undefined ? `remedy: ${remedy}` : "", started)
  if (code !== 0) console.log(output.trimEnd())
  return code === 0
}

/** The one step whose output is shown while it runs. */
const tests = async () => {
  const started = performance.now()
  const timer = setTimeout(() => {
    console.log(`The tests did not end within ${limitMinutes} minutes.`)
    const child = current
    child?.kill("SIGTERM")
    setTimeout(() => child?.kill("SIGKILL"), 10_000).unref()
  }, limitMinutes * 60_000)
  const reporters = ["--reporter=default", "--reporter=./scripts/countReporter.mjs"]
  const args = [tool("vitest"), "run", "--allowOnly=false", ...reporters, ...filters]
  const { code, message } = await run(args, ["inherit", "inherit", "inherit", "ipc"])
  clearTimeout(timer)
  // vitest sends no counts when it is killed or its set-up fails, and fails without a failed test when nothing ran.
  const counts = message ?? { passed: 0, failed: 0, skipped: 0 }
  if (code !== 0 && counts.failed === 0) counts.failed = 1
  for (const key of ["passed", "failed", "skipped"]) total[key] += counts[key]
  const { passed, failed, skipped } = counts
  line(failed === 0, "tests", `${passed} passed, ${failed} failed, ${skipped} skipped`, started)
}

const main = async () => {
  if (filters.length === 0) for (const step of checks) if (stoppedBy === null) await check(step)
  let isReady = true
  for (const name of ["postgres", "tools"])
    isReady = isReady && stoppedBy === null && (await check({ name, args: [`scripts/${name}.mjs`] }))
  if (isReady) await tests()
  if (stoppedBy !== null) console.log(`Stopped by ${stoppedBy}.`)
  console.log(
    `\n${total.passed} passed, ${total.failed} failed${total.skipped === 0 ? "" : `, ${total.skipped} skipped`}`
  )
  return stoppedBy === null ? Math.sign(total.failed) : exitCode(stoppedBy)
}

process.exit(await main())
