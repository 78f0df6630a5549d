import { setTimeout as sleep } from "node:timers/promises"
import { Effect, Exit, Scope } from "effect"
import { afterEach, describe, expect, it } from "vitest"
import type { NatsSettings } from "../../src/Settings.ts"
import { SendWindow } from "../../src/transports/SendWindow.ts"
import type { NatsLimits } from "../../src/transports/NatsLink.ts"
import { NatsServer } from "../harness/NatsServer.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { listen, settled } from "./busListener.ts"
import { natsSettings, type Replica, startReplica } from "./NatsReplica.ts"

const cleanUp: Array<() => unknown> = []
afterEach(async () => {
  for (const step of cleanUp.splice(0).toReversed()) await step()
})
const reserve = async (): Promise<NatsServer> => {
  const server = await NatsServer.reserve()
  cleanUp.push(() => server.dispose())
  return server
}
const serve = async (): Promise<NatsServer> => {
  const server = await reserve()
  await server.start()
  return server
}
const replica = async (nats: NatsSettings, limits?: Partial<NatsLimits>): Promise<Replica> => {
  const started = await startReplica(nats, limits)
  cleanUp.push(() => started.dispose())
  return started
}
const two = async (server: NatsServer, limits?: Partial<NatsLimits>) => {
  const one = await replica(natsSettings([server]), limits)
  const other = await replica(natsSettings([server]), limits)
  return [one, other] as const
}

const KIB = "x".repeat(1024)
const held = (): number => {
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return arrayBuffers + heapUsed
}

describe("a nats-server that comes and goes", () => {
  it("a subscription from before the server was there hears, and again after each kill and stop", async () => {
    const server = await reserve()
    const [one, other] = await two(server)
    const { heard } = await listen(other.bus, "a.*")
    for (const end of ["kill", "stop"] as const) {
      await server.start()
      await Promise.all([one.connected(), other.connected()])
      await settled(one.bus, other.bus)
      one.bus.publish("a.b", end)
      await settled(one.bus, other.bus)
      await server[end]()
      await waitUntil("the loss is seen", () => one.link.connection() === null && other.link.connection() === null)
      one.bus.publish("a.b", "nobody hears this")
    }
    expect(heard).toEqual(["a.b=kill", "a.b=stop"])
  })

  it("a subscription that ended while the server was away stays ended", async () => {
    const server = await serve()
    const [one, other] = await two(server)
    await Promise.all([one.connected(), other.connected()])
    const { heard, stop } = await listen(other.bus, "a")
    await server.kill()
    await stop()
    await server.start()
    await Promise.all([one.connected(), other.connected()])
    one.bus.publish("a", "x")
    await settled(one.bus, other.bus)
    expect(heard).toEqual([])
  })

  it("what is published while it is away is dropped and counted, and none of 100,000 messages is kept", async () => {
    const server = await reserve()
    const { bus, connected, link, metric } = await replica(natsSettings([server]))
    const before = held()
    for (let i = 0; i < 100_000; i++) link.publish("a", `${i}${KIB}`)
    expect(held() - before).toBeLessThan(100_000 * 1024 * 0.5)
    expect(await metric("nats_dropped_total", '{reason="away"}')).toBe(100_000)
    expect(await metric("nats_published_total")).toBe(0)
    expect(await metric("nats_connected")).toBe(0)
    await server.start()
    await connected()
    expect(await metric("nats_connected")).toBe(1)
    bus.publish("a", "now")
    expect(await metric("nats_published_total")).toBe(1)
  })

  it("is told of every connection, also by a listener that comes late, whatever another one throws", async () => {
    const server = await serve()
    const { connected, lines, link } = await replica(natsSettings([server]))
    await connected()
    const scope = await Effect.runPromise(Scope.make())
    let told = 0
    const onConnect = (listener: () => void) => Effect.runPromise(Scope.provide(link.onConnect(listener), scope))
    await onConnect(() => {
      throw new Error("a listener's own mistake")
    })
    await onConnect(() => void told++)
    expect(told).toBe(1)
    await server.stop()
    await server.start()
    await waitUntil("told again", () => told === 2)
    expect(lines.filter((line) => line.includes("a listener's own mistake"))).toHaveLength(2)
    await Effect.runPromise(Scope.close(scope, Exit.void))
  })

  it("fills no log: one line of loss and one of return a minute, however often it comes and goes", async () => {
    const server = await serve()
    const { connected, lines, link } = await replica(natsSettings([server]), { sayMs: 60_000 })
    for (let round = 0; round < 4; round++) {
      await connected()
      await server.kill()
      await waitUntil("the loss is seen", () => link.connection() === null)
      await server.start()
    }
    await connected()
    expect(lines.map((line) => line.replace(/: .*/, ""))).toEqual([
      "Info connected to NATS",
      "Warn no connection to NATS",
      "Info connected to NATS"
    ])
  })
})

describe("a nats-server that stands still", () => {
  it("is left after its time is over; no socket to it is kept, and all is well when it goes on", async () => {
    const server = await serve()
    const { connected, lines, link } = await replica(natsSettings([server]), { connectMs: 100, answerMs: 300 })
    await connected()
    const sockets = () => process.getActiveResourcesInfo().filter((kind) => kind === "TCPSocketWrap").length
    const before = sockets()
    server.freeze()
    await waitUntil("it is left", () => link.connection() === null)
    const tries = lines.length
    await waitUntil("tried ten times", () => lines.length >= tries + 10)
    expect(link.trouble()).toContain("does not answer")
    expect(sockets()).toBeLessThanOrEqual(before + 2)
    server.thaw()
    await connected()
    await waitUntil("one connection at the server", async () => (await server.clients()) === 1)
  })

  it("takes of 100,000 messages what fits the window; the rest is dropped, counted, and kept nowhere", async () => {
    const server = await serve()
    const windowBytes = 1024 * 1024
    // Longer than it takes to publish all that on a busy machine: until then it is the same connection.
    const { bus, connected, link, metric } = await replica(natsSettings([server]), { windowBytes, answerMs: 7000 })
    await connected()
    server.freeze()
    const connection = link.connection()
    const before = held()
    for (let i = 0; i < 100_000; i++) {
      bus.publish("a", `${i}${KIB}`)
      // In many turns, as real messages come: what was written to a full socket stays in this process.
      if (i % 500 === 0) await sleep(0)
    }
    expect(link.connection()).toBe(connection)
    expect(held() - before).toBeLessThan(30 * windowBytes)
    const published = await metric("nats_published_total")
    const dropped = await metric("nats_dropped_total", '{reason="slow"}')
    expect(published + dropped).toBe(100_000)
    expect(published).toBeLessThan(windowBytes / 1024)
    expect(await metric("nats_unconfirmed_bytes")).toBeLessThanOrEqual(windowBytes)
    await waitUntil("a server whose socket is full is left, too", () => link.connection() === null, {
      withinMs: 15_000
    })
    server.thaw()
    await connected()
    bus.publish("a", "x")
    await waitUntil("all is confirmed", async () => (await metric("nats_unconfirmed_bytes")) === 0)
    expect(await metric("nats_published_total")).toBe(published + 1)
  })

  it("a stop does not wait for it", async () => {
    const server = await serve()
    const started = await startReplica(natsSettings([server]), { answerMs: 60_000 })
    await started.connected()
    server.freeze()
    const from = performance.now()
    await started.dispose()
    expect(performance.now() - from).toBeLessThan(5000)
  })
})

describe("the window of what is not confirmed", () => {
  it("opens with each answer, asks once at a time, and stays shut when none comes", async () => {
    const asked: Array<() => void> = []
    const window = new SendWindow(2000, () => new Promise<void>((resolve) => void asked.push(resolve)))
    window.gave(500)
    window.gave(500)
    expect(asked).toHaveLength(1)
    expect(window.waiting).toBe(1512)
    expect(window.takes(500)).toBe(false)
    expect(window.takes(100)).toBe(true)
    asked[0]!()
    await waitUntil("asked for the rest", () => asked.length === 2)
    expect(window.waiting).toBe(756)
    asked[1]!()
    await waitUntil("all confirmed", () => window.waiting === 0)
    expect(asked).toHaveLength(2)
  })
})

describe("a mesh of three", () => {
  it("one is killed → its replica goes to another, and everybody hears everybody again", async () => {
    const mesh = await NatsServer.mesh(3)
    cleanUp.push(() => Promise.all(mesh.map((server) => server.dispose())))
    const [first, ...others] = mesh
    const replicas = await Promise.all(others.map((server) => replica(natsSettings([server]))))
    // Servers are tried in an order drawn anew.
    const moving = await waitUntil("a replica is on the first server", async () => {
      const drawn = await startReplica(natsSettings(mesh))
      await drawn.connected()
      if (drawn.link.server()?.name === first!.name) return drawn
      await drawn.dispose()
      return null
    })
    cleanUp.push(() => moving.dispose())
    replicas.push(moving)
    await Promise.all(replicas.map(({ connected }) => connected()))
    const hearAll = async () => {
      for (const publisher of replicas) for (const listener of replicas) await settled(publisher.bus, listener.bus)
    }
    await hearAll()
    await first!.kill()
    await waitUntil("the replica is elsewhere", () => {
      const now = moving.link.server()?.name
      return now !== undefined && now !== first!.name
    })
    await hearAll()
    await first!.start()
    await hearAll()
  })
})
