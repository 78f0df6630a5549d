import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { makeInit } from "../../src/client/init.ts"
import { nodePlatform } from "../../src/client/NodePlatform.ts"
import type { TrailsNode } from "../../src/client/TrailsNode.ts"
import { makeEnvelope } from "../harness/TestEnvelope.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { Link } from "./Link.ts"

/** For one socket alone it would be 30 s, then the connection attempt is given up. */
const SOON_MS = 15_000

describe("a name that leads to a replica that is cut off without a word, and to another", () => {
  let server: Trailsd
  let cut: Link
  let open: Link
  const nodes: Array<TrailsNode> = []

  beforeAll(async () => {
    server = await Trailsd.start({ env: { TRAILS_PING_INTERVAL: "1", DISCONNECT_GRACE: "60" } })
    cut = await Link.to(server.port)
    open = await Link.to(server.port)
  })
  afterAll(async () => {
    await Promise.all(nodes.map((node) => node.shutdown({ timeoutMs: 1 })))
    await cut?.close()
    await open?.close()
    await server?.dispose()
  })

  /** A node with a socket of its own, that is led to these in turn, and then to the open one; how often it has dialled. */
  const nodeBy = async (...ways: Array<Link>) => {
    const dials = { count: 0 }
    const init = makeInit({
      ...nodePlatform,
      watchExit: () => {},
      connect: (_name, events) => {
        const way = ways[dials.count++] ?? open
        return nodePlatform.connect(`ws://127.0.0.1:${way.port}/ws`, events)
      }
    })
    const { info } = makeEnvelope(
      { serverEp: server.url, serverPubKey: server.serverKey.text, secLevel: "signed", startDeadline: 0 },
      server.serverKey
    )
    const node = await init({ info, exitHook: false })
    nodes.push(node)
    return { node, dials }
  }

  it("keeps a node that comes back, and one that is born, no longer than its patience", async () => {
    const known = await nodeBy(cut, cut)
    await waitUntil("it is attached", () => known.node.stats().state === "attached")
    cut.cut("silent")
    known.node.status({ said: "while nobody hears it" })
    const born = await nodeBy(cut)
    await Promise.all([
      waitUntil("it is heard by the other way", () => known.node.stats().acked === 1, { withinMs: SOON_MS }),
      waitUntil("the newcomer is attached", () => born.node.stats().state === "attached", { withinMs: SOON_MS })
    ])
    expect(known.node.stats()).toMatchObject({ state: "attached", reconnects: 1, waiting: 0 })
    expect(known.dials.count).toBeGreaterThanOrEqual(3)
    expect(born.dials.count).toBeGreaterThanOrEqual(2)
    // What was given up is closed, and is not missed.
    cut.heal()
    await waitUntil("nobody is left on the way that was cut", () => cut.connections === 0)
    expect([known, born].map(({ node }) => node.stats().state)).toEqual(["attached", "attached"])
  })
})
