import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"

const ROOT = new URL("../../", import.meta.url)

/** What `trails run` sets, and what a deployment does. */
const surroundings = {
  TRAILS_INFO: "e30",
  TRAILS_AGENT: "/nowhere/agent.sock",
  TRAILS_STATUS_FD: "3",
  TRAILS_INHERITED_FDS: "3",
  TRAILS_SERVER: "ws://127.0.0.1:1/ws",
  TRAILS_DATA_DIR: "/nowhere",
  TRAILS_MIN_LEVEL: "signed",
  LISTEN_ADDR: "127.0.0.1:1",
  DATABASE_URL: "postgres://127.0.0.1:1/nowhere",
  REPLICA_LEASE: "1",
  DRAIN_DELAY: "1",
  PGHOST: "127.0.0.1",
  OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1"
}

/** The names above that are left once a module has been loaded under them. */
const leftBy = (module: string): ReadonlyArray<string> => {
  const program = `await import(process.argv[1]); console.log(JSON.stringify(Object.keys(process.env)))`
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ["--input-type=module", "-e", program, new URL(module, ROOT).href],
    { encoding: "utf8", env: { ...process.env, ...surroundings }, timeout: 30_000 }
  )
  if (stdout === "") throw new Error(stderr)
  return (JSON.parse(stdout) as ReadonlyArray<string>).filter((name) => Object.hasOwn(surroundings, name))
}

describe("what the surroundings configure", () => {
  it("does not reach the tests", () => {
    expect(leftBy("vitest.config.ts")).toEqual([])
    expect(leftBy("test/harness/freePort.ts")).toEqual(Object.keys(surroundings))
  })

  const { scripts } = JSON.parse(readFileSync(new URL("package.json", ROOT), "utf8")) as {
    readonly scripts: Readonly<Record<string, string>>
  }
  const programs = Object.values(scripts).flatMap((script) => /(?:test|bench)\/\S+(?<!\.test)\.ts/.exec(script) ?? [])

  it.for(programs)("does not reach %s", (program) => {
    const imports = /^import\b[^"]*"[^"]+"\n|^\s*\n|^\/\/.*\n|\/\*[\s\S]*?\*\/\n/gm
    const body = readFileSync(new URL(program, ROOT), "utf8").replaceAll(imports, "")
    expect(body.startsWith("dropSurroundings()\n"), "its first statement drops them").toBe(true)
  })

  it("is asked of every program that measures or torments", () => {
    expect(programs.length).toBeGreaterThanOrEqual(6)
  })
})
