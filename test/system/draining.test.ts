import { afterEach, describe, expect, it } from "vitest"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { rest } from "../harness/Rest.ts"
import { queryPostgres } from "../harness/StoredState.ts"
import { attach, rootOf } from "../harness/TestNode.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"

let server: Trailsd
afterEach(() => server.dispose())

const readiness = async (): Promise<unknown> => (await (await fetch(`${server.http}/readyz`)).json()) as unknown

describe("trailsd told to stop, with DRAIN_DELAY", () => {
  it("says that it is not ready, and goes on serving until a second signal", async () => {
    server = await Trailsd.start({ env: { DRAIN_DELAY: "60s" } })
    const before = rootOf(server)
    await attach(server, before)
    const stopped = server.stop(30_000)
    await waitUntil("it says so", async () => (await server.readyz()) === 503)
    expect(await readiness()).toEqual({ status: "not_ready", problems: ["stopping"] })
    const after = rootOf(server)
    await attach(server, after)
    for (const node of [before, after]) node.status({ step: 1 })
    await waitUntil("both are acked", () => [before, after].every((node) => node.inFlight === 0))
    expect((await rest(server.http, `apps/${after.appId}/wait?timeout=0`)).body).toMatchObject({ status: "running" })
    expect([...before.errors, ...after.errors]).toEqual([])
    // The first one counts once for so long, however often npm hands it on.
    await waitUntil("a second signal ends it", () => {
      if (server.isRunning) process.kill(server.pid, "SIGTERM")
      return !server.isRunning
    })
    expect(await stopped).toEqual({ code: 70, signal: null })
  })

  it("then tells its nodes to come back, takes nobody any more, and ends", async () => {
    server = await Trailsd.start({ env: { DRAIN_DELAY: "1s" } })
    const node = rootOf(server)
    const wire = await attach(server, node)
    const from = performance.now()
    const stopped = server.stop()
    expect(await wire.closed).toEqual({ code: 1001, reason: "going_away" })
    expect(performance.now() - from).toBeGreaterThan(990)
    expect(node.errors).toMatchObject([{ code: "going_away", retryable: true }])
    expect(await stopped).toEqual({ code: 0, signal: null })
    expect(server.output).not.toContain("did not end within")
  })

  it.for([
    ["before it is told", false, 75],
    ["after it was told", true, 0]
  ] as const)("serves no longer when another replica took it for dead %s", async ([, isTold, code]) => {
    const database = await freshDatabase()
    server = await Trailsd.start({ databaseUrl: database.url, env: { DRAIN_DELAY: "60s", REPLICA_LEASE: "1s" } })
    if (isTold) process.kill(server.pid, "SIGTERM")
    await waitUntil("it heeds that", async () => !isTold || (await server.readyz()) === 503)
    await queryPostgres(database.url, "update replicas set reaped_at = now()")
    await waitUntil("it has stepped down", () => !server.isRunning, { withinMs: 20_000 })
    expect(await server.exited).toEqual({ code, signal: null })
    await database.drop()
  })
})
