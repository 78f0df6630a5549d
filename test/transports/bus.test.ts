import { Effect, ManagedRuntime } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Bus } from "../../src/actors/Bus.ts"
import { NatsServer } from "../harness/NatsServer.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { listen, settled } from "./busListener.ts"
import { natsSettings, startReplica } from "./NatsReplica.ts"

interface Pair {
  readonly publisher: Bus["Service"]
  readonly listener: Bus["Service"]
  readonly dispose: () => Promise<void>
}

const inProcess = async (): Promise<Pair> => {
  const runtime = ManagedRuntime.make(Bus.local)
  const bus = await runtime.runPromise(Effect.map(Bus, (service) => service))
  return { publisher: bus, listener: bus, dispose: () => runtime.dispose() }
}

const onOneReplica = async (): Promise<Pair> => {
  const server = await NatsServer.start()
  const replica = await startReplica(natsSettings([server]))
  await replica.connected()
  return {
    publisher: replica.bus,
    listener: replica.bus,
    dispose: async () => {
      await replica.dispose()
      await server.dispose()
    }
  }
}

const betweenReplicas = async (): Promise<Pair> => {
  const server = await NatsServer.start()
  const [one, other] = await Promise.all([startReplica(natsSettings([server])), startReplica(natsSettings([server]))])
  await Promise.all([one.connected(), other.connected()])
  return {
    publisher: one.bus,
    listener: other.bus,
    dispose: async () => {
      await Promise.all([one.dispose(), other.dispose()])
      await server.dispose()
    }
  }
}

const withoutAServer = async (): Promise<Pair> => {
  const replica = await startReplica(natsSettings([{ port: 1 }]))
  return { publisher: replica.bus, listener: replica.bus, dispose: () => replica.dispose() }
}

describe.each([
  ["in process", inProcess],
  ["over NATS, within a replica", onOneReplica],
  ["over NATS, between replicas", betweenReplicas],
  ["with NATS away, within a replica", withoutAServer]
] as const)("the bus %s", (_, open) => {
  let pair: Pair
  beforeAll(async () => {
    pair = await open()
  })
  afterAll(() => pair.dispose())

  it.each([
    ["t1.b.c", "t1.b.c", true],
    ["t2.*.c", "t2.b.c", true],
    ["t3.*", "t3.b.c", false],
    ["t4.>", "t4.b.c", true],
    ["t5.b.c.>", "t5.b.c", false],
    ["t6.b.c.d", "t6.b.c", false],
    ["t7.*.*", "t7.b.c", true],
    ["b.>", "t8.b.c", false],
    ["t9", "T9", false]
  ])("%s hears %s: %s", async (pattern, subject, hears) => {
    const { publisher, listener } = pair
    const { heard, stop } = await listen(listener, pattern)
    await settled(publisher, listener)
    publisher.publish(subject, "x")
    await settled(publisher, listener)
    expect(heard).toEqual(hears ? [`${subject}=x`] : [])
    await stop()
  })

  it("carries a body as it is: nothing, any text, much of it", async () => {
    const { publisher, listener } = pair
    const bodies: Array<string> = []
    const { stop } = await listen(listener, "body", (_, body) => void bodies.push(body))
    await settled(publisher, listener)
    const sent = ["", "\u0000\r\n", "żółć 🌳 \u2028", JSON.stringify({ a: "x".repeat(300_000) })]
    for (const body of sent) publisher.publish("body", body)
    await settled(publisher, listener)
    expect(bodies).toEqual(sent)
    await stop()
  })

  it("keeps the order of one publisher, and hears each once", async () => {
    const { publisher, listener } = pair
    const { heard, stop } = await listen(listener, "order.>")
    await settled(publisher, listener)
    const sent = Array.from({ length: 2000 }, (_, i) => `order.${i % 7}=${i}`)
    for (const [i] of sent.entries()) publisher.publish(`order.${i % 7}`, String(i))
    await settled(publisher, listener)
    expect(heard).toEqual(sent)
    await stop()
  })

  it("tells every subscription that matches, and none whose scope has closed", async () => {
    const { publisher, listener } = pair
    const all = await Promise.all(["many.a", "many.*", "many.>", "many.a"].map((pattern) => listen(listener, pattern)))
    await settled(publisher, listener)
    publisher.publish("many.a", "1")
    await settled(publisher, listener)
    await all[0]!.stop()
    await all[2]!.stop()
    await settled(publisher, listener)
    publisher.publish("many.a", "2")
    await settled(publisher, listener)
    const both = ["many.a=1", "many.a=2"]
    expect(all.map(({ heard }) => heard)).toEqual([["many.a=1"], both, ["many.a=1"], both])
    await Promise.all(all.map(({ stop }) => stop()))
  })

  it("runs no handler inside its publisher's stack", async () => {
    const { publisher, listener } = pair
    const { heard, stop } = await listen(listener, "stack")
    await settled(publisher, listener)
    publisher.publish("stack", "x")
    expect(heard).toEqual([])
    await waitUntil("heard", () => heard.length === 1)
    await stop()
  })

  it("goes on after a handler that throws: for others, and for itself", async () => {
    const { publisher, listener } = pair
    let thrown = 0
    const bad = await listen(listener, "throws", () => {
      thrown++
      throw new Error("a handler's own mistake")
    })
    const good = await listen(listener, "throws")
    await settled(publisher, listener)
    publisher.publish("throws", "1")
    publisher.publish("throws", "2")
    await settled(publisher, listener)
    expect(good.heard).toEqual(["throws=1", "throws=2"])
    expect(thrown).toBe(2)
    expect(bad.lines).toEqual(["a handler of the bus failed, for throws Error: a handler's own mistake"])
    await Promise.all([bad.stop(), good.stop()])
  })

  it("survives what no bus can carry", async () => {
    const { publisher, listener } = pair
    publisher.publish("with a space", "x")
    publisher.publish("", "x")
    publisher.publish("large", "x".repeat(3_000_000))
    await settled(publisher, listener)
  })
})
