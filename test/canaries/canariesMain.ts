/**
 * `npm run test:canaries [-- word …]`: breaks one guard after the other, in a copy of this checkout, and looks whether the test
 * that watches over it fails. With words: those alone whose names have one of them. Exit code 1: some test sings on.
 */
import { dropSurroundings } from "../harness/surroundings.ts"
import { type Canary, canaries } from "./canaries.ts"
import { Checkout } from "./Checkout.ts"

dropSurroundings()

const EX_USAGE = 64

const words = process.argv.slice(2)
const chosen = words.length === 0 ? canaries : canaries.filter(({ name }) => words.some((word) => name.includes(word)))
if (chosen.length === 0) {
  console.error(`No such canary. There are:\n${canaries.map(({ name }) => name).join("\n")}`)
  process.exit(EX_USAGE)
}

using checkout = new Checkout()
let failed = 0

const line = (ok: boolean, name: string, from: number, what: string): void => {
  if (!ok) failed++
  console.log(`${ok ? "ok  " : "FAIL"} ${name} (${((performance.now() - from) / 1000).toFixed(1)} s)${what}`)
}

const soundness = async (): Promise<string> => {
  const tests = chosen.map(({ test }) => test)
  const ends = await checkout.test(tests)
  const missing = tests.filter(
    ({ title }) => !ends.some(({ name, status }) => name.includes(title) && status === "passed")
  )
  return missing.map(({ file, title }) => `\n${file}: does not pass unbroken: ${title}`).join("")
}

const isNoticed = async ({ test }: Canary): Promise<string> => {
  const ends = await checkout.test([test])
  if (ends.some(({ name, status }) => name.includes(test.title) && status === "failed")) return ""
  return `\nnobody noticed: ${test.file}: ${test.title}`
}

const attempt = async (name: string, body: () => Promise<string>): Promise<void> => {
  const from = performance.now()
  const what = await body().catch((error: unknown) => `\n${error instanceof Error ? error.message : String(error)}`)
  line(what === "", name, from, what)
}

await attempt("nothing broken: all of these tests pass", soundness)
for (const canary of chosen) await attempt(canary.name, () => checkout.with(canary, () => isNoticed(canary)))
console.log(`${chosen.length} guards broken, ${failed} failures`)
process.exitCode = failed === 0 ? 0 : 1
