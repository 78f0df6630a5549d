import { describe, expect, it } from "vitest"
import { type Trust, Verifier } from "../../src/events/index.ts"
import type { TreeEvent } from "../../src/protocol/TreeEvent.ts"
import { makeKeypair, unsealed } from "../harness/Keypair.ts"
import { EventMaker } from "./EventMaker.ts"

const reasonOf = async (verifier: Verifier, event: TreeEvent) => {
  const verdict = await verifier.verify(event)
  return verdict.verified ? "verified" : verdict.reason
}
const byServer = (node: EventMaker, more: Partial<Extract<Trust, { serverKey: string }>> = {}) =>
  new Verifier({ serverKey: node.server.text, ...more })

describe("from the server's key", () => {
  it("a registration binds the node's key, and its frames verify under it", async () => {
    const node = new EventMaker()
    const verifier = byServer(node)
    expect(await verifier.verify(node.connected())).toEqual({ verified: true, by: "server", key: node.server.text })
    expect(await verifier.verify(node.status(1))).toEqual({ verified: true, by: "node", key: node.keys.text })
  })

  it("a key belongs to one incarnation", async () => {
    const node = new EventMaker()
    const verifier = byServer(node)
    const later = makeKeypair()
    await verifier.verify(node.connected())
    await verifier.verify(node.connected(node.server, 2, later.text))
    const second = node.event("status", node.statusFrame(1, "{}", later, 2), { incarnation: 2, seq: 1 })
    expect(await reasonOf(verifier, second)).toBe("verified")
    expect(await reasonOf(verifier, node.status(2))).toBe("verified")
    expect(await reasonOf(verifier, node.status(3, "{}", later))).toBe("bad_signature")
  })

  it("every changed byte of a frame is noticed", async () => {
    const node = new EventMaker()
    const verifier = byServer(node)
    await verifier.verify(node.connected())
    const good = node.status(1, '{"a":1}')
    const frame = good.data.frame!
    for (let at = 0; at < frame.length; at++) {
      const changed = frame.slice(0, at) + (frame[at] === "x" ? "y" : "x") + frame.slice(at + 1)
      const verdict = await verifier.verify({ ...good, data: { ...good.data, frame: changed } })
      expect(verdict.verified, changed).toBe(false)
    }
  })

  it.for([
    ["another node's id", { app_id: "00000000-0000-4000-8000-000000000000" }],
    ["another seq", { seq: 2 }],
    ["another kind", { kind: "result" }],
    ["another kind without a seq", { kind: "control", seq: null }]
  ] as const)("an event around a genuine frame that says %s is not verified", async ([, patch]) => {
    const node = new EventMaker()
    const verifier = byServer(node)
    await verifier.verify(node.connected())
    expect(["contradiction", "key_unknown"]).toContain(
      await reasonOf(verifier, node.event("status", node.statusFrame(1, "{}"), { seq: 1, ...patch }))
    )
  })

  it("registrations that bind nothing: by another key, of another node, of another incarnation", async () => {
    const node = new EventMaker()
    const other = new EventMaker(null, node.server)
    const verifier = byServer(node)
    expect(await reasonOf(verifier, node.connected(makeKeypair()))).toBe("bad_signature")
    expect(await reasonOf(verifier, node.event("connected", other.registeredFrame()))).toBe("contradiction")
    expect(await reasonOf(verifier, node.event("connected", node.registeredFrame(node.server, 2)))).toBe(
      "contradiction"
    )
    expect(await reasonOf(verifier, node.status(1))).toBe("key_unknown")
  })

  it("a node's own key can't sign a registration, nor the server's a status", async () => {
    const node = new EventMaker()
    const verifier = byServer(node)
    await verifier.verify(node.connected())
    expect(await reasonOf(verifier, node.connected(node.keys))).toBe("bad_signature")
    expect(await reasonOf(verifier, node.status(1, "{}", node.server))).toBe("bad_signature")
  })

  it("says why there is nothing to verify", async () => {
    const node = new EventMaker()
    const verifier = byServer(node)
    expect(await reasonOf(verifier, node.event("crash", undefined))).toBe("no_frame")
    expect(await reasonOf(verifier, { ...node.event("status", undefined), dataref: "/api" })).toBe("left_out")
    expect(await reasonOf(verifier, node.event("status", unsealed('{"type":"message"}')))).toBe("unsigned")
    for (const text of ["", "{", "null", "[]", '{"type":1', "\u0000"]) {
      expect(await reasonOf(verifier, node.event("status", text))).toBe("malformed")
    }
  })

  it("asks for a registration that it has not seen, once, and believes it only when it verifies", async () => {
    const node = new EventMaker()
    const answers: Array<string | null | Error> = [
      null,
      new Error("away"),
      node.registeredFrame(makeKeypair()),
      new EventMaker(null, node.server).registeredFrame(),
      node.registeredFrame(node.server, 2),
      node.registeredFrame()
    ]
    const verifier = byServer(node, {
      registered: () => {
        const answer = answers.shift()
        if (answer === undefined || answer instanceof Error) throw answer ?? new Error("asked again")
        return answer
      }
    })
    for (let i = 0; i < 5; i++) expect(await reasonOf(verifier, node.status(1))).toBe("key_unknown")
    expect(await reasonOf(verifier, node.status(1))).toBe("verified")
    expect(await reasonOf(verifier, node.status(2))).toBe("verified")
  })

  it("keeps the keys of the nodes seen last", async () => {
    const server = makeKeypair()
    const [a, b, c] = [new EventMaker(null, server), new EventMaker(null, server), new EventMaker(null, server)]
    const verifier = new Verifier({ serverKey: server.text }, { nodes: 2 })
    await verifier.verify(a.connected())
    await verifier.verify(b.connected())
    await verifier.verify(a.status(1))
    await verifier.verify(c.connected())
    expect(await reasonOf(verifier, a.status(2))).toBe("verified")
    expect(await reasonOf(verifier, b.status(1))).toBe("key_unknown")
  })

  it("a key of small order, or none, is refused at once", () => {
    for (const text of ["", "ed25519:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]) {
      expect(() => new Verifier({ serverKey: text })).toThrow(TypeError)
    }
  })
})

describe("from the root's key alone", () => {
  const root = new EventMaker()
  const child = new EventMaker(root)
  const grandchild = new EventMaker(child)
  const envelopes = (changes: Readonly<Record<string, string>> = {}) => {
    const all: Readonly<Record<string, string>> = {
      [child.appId]: child.envelope(root.keys),
      [grandchild.appId]: grandchild.envelope(child.keys),
      ...changes
    }
    return (appId: string) => all[appId] ?? null
  }
  const verifier = (changes: Readonly<Record<string, string>> = {}) =>
    new Verifier({ root: { appId: root.appId, key: root.keys.text }, envelope: envelopes(changes) })

  it("the root's and every descendant's frames verify by the chain of envelopes", async () => {
    for (const node of [root, child, grandchild]) {
      expect(await verifier().verify(node.status(1))).toEqual({ verified: true, by: "node", key: node.keys.text })
    }
  })

  it("nothing that the server has signed is believed", async () => {
    expect(await reasonOf(verifier(), child.connected())).toBe("server_signed")
    // The server would give the node another key.
    const one = verifier()
    const forged = makeKeypair()
    await one.verify(child.connected(child.server, 1, forged.text))
    expect(await reasonOf(one, child.status(1, "{}", forged))).toBe("bad_signature")
  })

  it("a chain that is broken, without keys, or not there proves nothing", async () => {
    const stranger = makeKeypair()
    const broken = verifier({ [child.appId]: child.envelope(stranger) })
    expect(await reasonOf(broken, grandchild.status(1))).toBe("chain_broken")
    const keyless = verifier({ [child.appId]: child.envelope(root.keys, null) })
    expect(await reasonOf(keyless, grandchild.status(1))).toBe("chain_broken")
    expect(await reasonOf(verifier(), new EventMaker(child).status(1))).toBe("key_unknown")
    const foreign = new EventMaker()
    expect(await reasonOf(verifier(), foreign.status(1))).toBe("chain_broken")
  })

  it("a sibling's envelope in place of the node's own does not let the sibling speak for it", async () => {
    const sibling = new EventMaker(root)
    const mixed = verifier({ [child.appId]: sibling.envelope(root.keys) })
    expect(await reasonOf(mixed, child.status(1, "{}", sibling.keys))).toBe("chain_broken")
  })

  it("an event that puts a node somewhere else in the tree is not verified", async () => {
    const moved = grandchild.event("status", grandchild.statusFrame(1, "{}"), {
      seq: 1,
      path: [root.appId, grandchild.appId]
    })
    expect(await reasonOf(verifier(), moved)).toBe("chain_broken")
  })
})
