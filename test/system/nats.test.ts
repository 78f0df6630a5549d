import { afterEach, describe, expect, it } from "vitest"
import { metric, readMetrics } from "../harness/Metrics.ts"
import { NatsGreeter } from "../harness/NatsGreeter.ts"
import { NatsServer } from "../harness/NatsServer.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { Machine } from "../main/Launched.ts"

const cleanUp: Array<() => unknown> = []
afterEach(async () => {
  for (const step of cleanUp.splice(0).toReversed()) await step()
})

const LOGIN = { user: "trailsd", password: "geheim" }

describe("trailsd and NATS", () => {
  it("serves without NATS, connects when it comes, and stays ready whatever becomes of it", async () => {
    const nats = await NatsServer.reserve({ login: LOGIN })
    cleanUp.push(() => nats.dispose())
    const trailsd = await Trailsd.start({ env: { NATS_URL: nats.url, NATS_ANY_VERSION: "true" } })
    cleanUp.push(() => trailsd.dispose())
    const ready = async () => (await (await fetch(`${trailsd.http}/readyz`)).json()) as unknown
    const connected = async () => metric(await readMetrics(trailsd.http), "trails_nats_connected")
    const notes = ["no connection to NATS; the log says why"]

    expect(await ready()).toEqual({ status: "ready", notes })
    expect(await connected()).toBe(0)
    await waitUntil("it is said once", () => trailsd.output.includes("no connection to NATS: 127.0.0.1"))
    expect(trailsd.output).toContain("set DATABASE_URL to run more than one")
    expect(trailsd.output).toContain(`nats      127.0.0.1:${nats.port}`)

    for (let round = 0; round < 2; round++) {
      await nats.start()
      await waitUntil("connected", async () => (await connected()) === 1, { withinMs: 30_000 })
      expect(await ready()).toEqual({ status: "ready" })
      await nats.kill()
      await waitUntil("the loss is seen", async () => (await connected()) === 0)
      expect(await ready()).toEqual({ status: "ready", notes })
    }
    // Once a minute at most, whatever comes and goes in between.
    expect(trailsd.output.match(/no connection to NATS/g)).toHaveLength(1)
    expect(trailsd.output).not.toContain("geheim")
    expect((await trailsd.stop()).code).toBe(0)
  })

  it("a nats-server of a wrong version ends it at the start with 78 and the remedy", async () => {
    const old = await NatsGreeter.start("2.10.4")
    const machine = new Machine()
    cleanUp.push(
      () => old.dispose(),
      () => machine.dispose()
    )
    const launched = machine.launch({ NATS_URL: `nats://u:geheim@127.0.0.1:${old.port}`, LISTEN_ADDR: "127.0.0.1:0" })
    expect(await launched.exited).toBe(78)
    expect(launched.messages.at(-1)).toMatch(/has version 2\.10\.4, and trailsd needs 2\.11\.16.*NATS_ANY_VERSION=true/)
    expect(launched.stderr + launched.stdout).not.toContain("geheim")
    expect(old.received).toEqual([])
  })
})
