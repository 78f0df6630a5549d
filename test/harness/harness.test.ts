import { spawn } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { isSealedBy, keypairFromSeed, makeKeypair, seal, unsealed } from "./Keypair.ts"
import { parseMetrics, metric } from "./Metrics.ts"
import { seeded } from "./Random.ts"
import { waitUntil } from "./waitUntil.ts"

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe("the harness", () => {
  it("leaves no process behind when a test run is killed with -9", async () => {
    const script = `
      import { spawn } from "node:child_process"
      import { leash } from ${JSON.stringify(join(import.meta.dirname, "Leash.ts"))}
      const child = spawn("sleep", ["600"], { stdio: "ignore" })
      leash(child.pid)
      console.log(child.pid)
      setInterval(() => {}, 1000)`
    const run = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] })
    const [chunk] = (await once(run.stdout, "data")) as [Buffer]
    const pid = Number(chunk.toString())
    expect(isAlive(pid)).toBe(true)
    run.kill("SIGKILL")
    await waitUntil("the orphan is gone", () => !isAlive(pid))
  })

  it("waits with a reason, and says it when it gives up", async () => {
    let calls = 0
    expect(await waitUntil("three calls", () => ++calls === 3 && "yes", { everyMs: 1 })).toBe("yes")
    await expect(waitUntil("the moon", () => false, { withinMs: 30, everyMs: 5 })).rejects.toThrow("the moon")
  })

  it("draws the same from the same seed", () => {
    const draw = (seed: number) => {
      const random = seeded(seed)
      return [random.int(1000), random.uuid(), random.bytes(4).toString("hex"), random.between(1, 2)]
    }
    expect(draw(3)).toEqual(draw(3))
    expect(draw(3)).not.toEqual(draw(4))
    expect(seeded(9).uuid()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })

  it("seals and verifies frames, and tells a changed one", () => {
    const pair = makeKeypair()
    const text = seal("trails.v1.server", JSON.stringify({ type: "ack", seq: 1 }), pair.secretKey)
    expect(JSON.parse(text)).toMatchObject({ type: "ack", seq: 1 })
    expect(isSealedBy(text, pair.publicKey)).toBe(true)
    expect(isSealedBy(text.replace("1", "2"), pair.publicKey)).toBe(false)
    expect(isSealedBy(text, makeKeypair().publicKey)).toBe(false)
    expect(isSealedBy(unsealed('{"a":1}'), pair.publicKey)).toBe(false)
    expect(keypairFromSeed(Buffer.alloc(32, 7)).text).toBe(keypairFromSeed(Buffer.alloc(32, 7)).text)
  })

  it("reads a Prometheus page", () => {
    const page = parseMetrics('# HELP a b\n# TYPE a counter\na{x="1"} 2\na{x="2"} 3\nab 9\n')
    expect(metric(page, "a")).toBe(5)
    expect(() => metric(page, "c")).toThrow("no metric c")
  })
})
