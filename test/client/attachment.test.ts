import { randomBytes, randomUUID } from "node:crypto"
import { describe, expect, it } from "vitest"
import type { ErrorCode, ErrorFrame, RegisteredFrame } from "../../src/protocol/Frames.ts"
import { makeKeypair } from "../harness/Keypair.ts"
import { MODES } from "./FakePlatform.ts"
import { LIMITS, Stage } from "./Stage.ts"

const other = () => randomBytes(32).toString("base64")

describe.each(MODES)("an attachment, cryptography %s", (mode) => {
  it("registers first, and re-registers with the last acked seq afterwards; what follows last_seq goes again in order", async () => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.attached()
    for (let i = 1; i <= 5; i++) node.status({ i })
    await stage.platform.settle()
    expect(stage.socket.seqs).toEqual([1, 2, 3, 4, 5])
    await stage.ack(appId, 2)
    stage.socket.drop()
    node.status({ i: 6 })
    await stage.again()
    expect(stage.asked(appId)).toMatchObject({ type: "re_register", incarnation: 1, last_seq: 2 })
    // 3 was stored, its ack was lost.
    await stage.admit(appId, { last_seq: 3 })
    expect(stage.socket.seqs).toEqual([4, 5, 6])
    await stage.ack(appId, 6)
    expect(node.stats()).toMatchObject({ state: "attached", waiting: 0, acked: 6, reconnects: 1 })
  })

  it.each<[string, Partial<RegisteredFrame>]>([
    ["another nonce", { nonce: other() }],
    ["another client_nonce", { client_nonce: other() }],
    ["another key", { child_pub_key: makeKeypair().text }],
    ["another parent", { parent_id: randomUUID() }],
    ["another server key", { server_pub_key: makeKeypair().text }]
  ])("does not believe a `registered` with %s (T1)", async (_, changes) => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.node()
    await stage.hello()
    await stage.admit(appId, changes)
    expect(stage.socket.ended).toBe("terminate")
    expect(node.stats()).toMatchObject({ state: "connecting", reconnects: 0 })
    await stage.back(appId)
    expect(node.stats().state).toBe("attached")
  })

  it.each<[string, (last: RegisteredFrame) => Partial<RegisteredFrame>]>([
    ["the epoch of before", ({ epoch }) => ({ epoch })],
    ["an older epoch", ({ epoch }) => ({ epoch: epoch - 1 })],
    ["another incarnation", ({ incarnation }) => ({ incarnation: incarnation + 1 })]
  ])("does not take up a session again with %s (T2)", async (_, changes) => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.attached()
    stage.socket.drop()
    await stage.back(appId, changes(stage.session!))
    expect(stage.socket.ended).toBe("terminate")
    expect(node.stats().state).toBe("connecting")
  })

  const FINAL: ReadonlyArray<ErrorCode> = [
    "level_too_weak",
    "key_mismatch",
    "superseded",
    "ticket_invalid",
    "terminal",
    "registration_failed",
    "deadline_passed",
    "parent_sealed"
  ]
  it.each(FINAL)("stops when its registration is refused with %s, says so once and never comes back", async (code) => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.node()
    node.status(1)
    await stage.hello()
    await stage.refuse(appId, { code })
    expect(node.stats()).toMatchObject({ state: "refused", waiting: 0, refused: 1 })
    expect(stage.platform.warnings).toHaveLength(1)
    expect(stage.platform.warnings[0]).toContain(code)
    expect(node.status(2)).toMatchObject({ queued: false, reason: "inactive" })
    expect(await node.ready()).toBe(false)
    expect(await node.shutdown()).toBe(false)
    await stage.platform.advance(600_000)
    expect(stage.connects).toBe(1)
    expect(stage.platform.timers).toBe(0)
  })

  it.each(FINAL)("does not stop for an unbound %s: it closes and tries again (T3)", async (code) => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.node()
    await stage.hello()
    await stage.refuse(appId, { code }, false)
    expect(stage.socket.ended).toBe("close")
    expect(node.stats().state).toBe("connecting")
    await stage.back(appId)
    await stage.refuse(appId, { code }, false)
    expect(node.stats().state).toBe("connecting")
    await stage.back(appId)
    expect(node.stats().state).toBe("attached")
  })

  it("does not stop for the refusal of a registration that somebody else has signed, with its client_nonce (T3)", async () => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.node()
    await stage.hello()
    await stage.refuse(appId, { code: "key_mismatch", pub_key: makeKeypair().text })
    expect(stage.socket.ended).toBe("close")
    await stage.back(appId)
    expect(node.stats().state).toBe("attached")
  })

  it("stops on replaced of its session, does not on that of another one", async () => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.attached()
    await stage.refuse(appId, { code: "replaced", session: randomUUID() })
    expect(node.stats().state).toBe("connecting")
    await stage.back(appId)
    await stage.refuse(appId, { code: "replaced" })
    expect(node.stats().state).toBe("refused")
    await stage.platform.advance(600_000)
    expect(stage.connects).toBe(2)
  })

  it.each<[string, Partial<ErrorFrame>]>([
    ["with a seq", { seq: 1 }],
    ["with none", {}]
  ])(
    "takes superseded in a session, %s, for the answer to a frame that it never sent: it asks, and loses nothing (T4)",
    async (_, named) => {
      const stage = new Stage(mode)
      const { appId, node } = await stage.attached()
      node.result({ end: true })
      await stage.platform.settle()
      await stage.refuse(appId, { code: "superseded", ...named })
      expect(node.stats()).toMatchObject({ state: "connecting", waiting: 1, refused: 0 })
      await stage.back(appId)
      expect(stage.asked(appId)).toMatchObject({ type: "re_register" })
      expect(stage.socket.seqs).toEqual([1])
      // The answer to its own question is another matter.
      stage.socket.drop()
      await stage.again()
      await stage.refuse(appId, { code: "superseded" })
      expect(node.stats().state).toBe("refused")
    }
  )

  it("believes no answer to an earlier attempt while it waits for its turn on another socket (T1)", async () => {
    const stage = new Stage(mode)
    const first = await stage.node()
    const { appId, node } = await stage.node()
    await stage.hello()
    await stage.admit(first.appId)
    const asked = stage.asked(appId)
    const { nonce } = stage.socket
    stage.socket.drop()
    await stage.again()
    expect(stage.asked(first.appId)).toBeDefined()
    expect(stage.asked(appId)).toBeUndefined()
    const old = { client_nonce: asked?.["client_nonce"] as string, pub_key: asked?.["child_pub_key"] as string }
    await stage.say({ type: "error", code: "terminal", message: "old", app_id: appId, retryable: false, ...old })
    expect(node.stats().state).toBe("connecting")
    await stage.say({
      type: "registered",
      app_id: appId,
      parent_id: null,
      child_pub_key: asked?.["child_pub_key"] as string,
      server_pub_key: stage.keys.text,
      nonce,
      client_nonce: old.client_nonce,
      incarnation: 1,
      epoch: 1,
      session: randomUUID(),
      last_seq: 0,
      limits: LIMITS,
      ping_interval_ms: 0
    })
    expect(node.stats().state).toBe("connecting")
    await stage.admit(first.appId)
    await stage.admit(appId)
    expect(node.stats().state).toBe("attached")
  })

  it("comes back after going_away not before the time it names, and loses nothing", async () => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.attached()
    node.status(1)
    node.status(2)
    await stage.platform.settle()
    await stage.refuse(appId, { code: "going_away", retry_after_ms: 7000 })
    node.status(3)
    await stage.platform.settle()
    expect(stage.socket.seqs).toEqual([1, 2])
    // What was under way may still be acked.
    await stage.ack(appId, 1)
    stage.socket.drop()
    await stage.platform.advance(6999)
    expect(stage.connects).toBe(1)
    await stage.back(appId)
    expect(stage.socket.seqs).toEqual([2, 3])
  })

  it("does not wait for ever for a draining server to close", async () => {
    const stage = new Stage(mode)
    const { appId } = await stage.attached()
    await stage.refuse(appId, { code: "going_away", retry_after_ms: 10 })
    await stage.platform.advance(5000)
    expect(stage.socket.ended).toBeNull()
    expect(stage.platform.sockets[0]!.ended).toBe("close")
    expect(stage.connects).toBe(2)
  })

  it("begins anew when the server does not know it any more, with the seqs that it had", async () => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.attached({}, { epoch: 9 })
    node.status(1)
    await stage.platform.settle()
    await stage.ack(appId, 1)
    stage.socket.drop()
    node.status(2)
    await stage.again()
    await stage.refuse(appId, { code: "not_registered" })
    await stage.again()
    expect(stage.asked(appId)).toMatchObject({ type: "register" })
    await stage.admit(appId, { incarnation: 1, epoch: 1 })
    expect(stage.socket.seqs).toEqual([2])
  })

  it.each<ErrorCode>(["registration_failed", "unavailable", "overloaded"])(
    "asks twice more after a retryable %s, after the time it names: on the same socket, then on another one",
    async (code) => {
      const stage = new Stage(mode)
      const { appId, node } = await stage.node()
      await stage.hello()
      const nonce = stage.asked(appId)?.["client_nonce"]
      await stage.refuse(appId, { code, retry_after_ms: 3000 })
      await stage.platform.advance(2999)
      expect(stage.asked(appId)?.["client_nonce"]).toBe(nonce)
      await stage.platform.advance(1)
      expect(stage.asked(appId)?.["client_nonce"]).not.toBe(nonce)
      await stage.refuse(appId, { code, retry_after_ms: 3000 })
      await stage.platform.advance(3000)
      expect(stage.connects).toBe(1)
      await stage.refuse(appId, { code, retry_after_ms: 3000 })
      expect(stage.socket.ended).toBe("close")
      await stage.platform.advance(2999)
      expect(stage.connects).toBe(1)
      await stage.back(appId)
      expect(node.stats().state).toBe("attached")
    }
  )

  it("does not let a node that waits to end wait for a long pause between attempts", async () => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.node()
    await stage.hello()
    const refused = async (): Promise<void> => {
      const { socket } = stage
      const nonce = stage.asked(appId)?.["client_nonce"]
      await stage.refuse(appId, { code: "registration_failed", retry_after_ms: 10 })
      await stage.until(() => stage.socket !== socket || stage.asked(appId)?.["client_nonce"] !== nonce)
      if (stage.socket !== socket) await stage.hello()
    }
    for (let i = 0; i < 12; i++) await refused()
    await stage.refuse(appId, { code: "registration_failed", retry_after_ms: 10 })
    node.result(1)
    const over = node.shutdown()
    const nonce = stage.asked(appId)?.["client_nonce"]
    await stage.platform.advance(300)
    expect(stage.asked(appId)?.["client_nonce"]).not.toBe(nonce)
    await stage.admit(appId)
    await stage.ack(appId, 1)
    expect(await over).toBe(true)
  })

  it.each<ErrorCode>(["bad_signature", "not_registered", "unavailable"])(
    "comes back on another socket after %s in its session",
    async (code) => {
      const stage = new Stage(mode)
      const { appId, node } = await stage.attached()
      node.status(1)
      await stage.platform.settle()
      await stage.refuse(appId, code === "unavailable" ? { code, retry_after_ms: 100 } : { code })
      expect(stage.socket.ended).toBe("close")
      expect(stage.connects).toBe(1)
      await stage.back(appId)
      expect(stage.connects).toBe(2)
      expect(stage.socket.seqs).toEqual([1])
      expect(node.stats()).toMatchObject({ state: "attached", reconnects: 1 })
    }
  )

  it("ends when the server says that it is over, and is content when all is stored", async () => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.attached()
    node.status(1)
    await stage.platform.settle()
    stage.socket.drop()
    await stage.again()
    await stage.refuse(appId, { code: "terminal", seq: 1 })
    expect(node.stats()).toMatchObject({ state: "ended", acked: 1, waiting: 0, refused: 0 })
    expect(stage.platform.warnings).toEqual([])
  })

  it("gives up what does not greet and what does not answer, and tries again", async () => {
    const stage = new Stage(mode)
    const { appId } = await stage.node()
    await stage.platform.advance(39_999)
    const [silent] = stage.platform.sockets
    expect(silent!.ended).toBeNull()
    const dials = stage.connects
    await stage.platform.advance(1000)
    expect(silent!.ended).toBe("terminate")
    expect(stage.connects).toBe(dials + 1)
    const greeted = stage.socket
    await stage.hello()
    await stage.platform.advance(34_999)
    expect(stage.connects).toBe(dials + 1)
    await stage.platform.advance(1000)
    expect(greeted.ended).toBe("close")
    expect(stage.connects).toBe(dials + 2)
    await stage.hello()
    await stage.admit(appId)
  })

  it("starts from the shortest pause again only after an ack, or 10 s of session", async () => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.node()
    const pause = (): Promise<number> => {
      const lost = stage.socket
      return stage.until(() => stage.socket !== lost)
    }
    const enter = async () => {
      await stage.hello()
      await stage.admit(appId)
    }
    for (const expected of [100, 200, 400]) {
      await enter()
      stage.socket.drop()
      expect(await pause()).toBe(expected)
    }
    await enter()
    node.status(1)
    await stage.platform.settle()
    await stage.ack(appId, 1)
    stage.socket.drop()
    expect(await pause()).toBe(100)
    await enter()
    await stage.platform.advance(10_000)
    stage.socket.drop()
    expect(await pause()).toBe(100)
  })
})
