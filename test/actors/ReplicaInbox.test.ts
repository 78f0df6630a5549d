import { assert, beforeEach, describe, it } from "@effect/vitest"
import { importPublicKey, importSeed, type SecretKey } from "../../src/actors/Ed25519.ts"
import { ReplicaInbox, type ReplicaInboxLimits } from "../../src/actors/ReplicaInbox.ts"
import { sealReplicaMessage } from "../../src/actors/ReplicaOutbox.ts"
import { encodeReplicaMessage, type ReplicaContent, type ReplicaMessage } from "../../src/protocol/ReplicaMessage.ts"
import { attachSignature, TAGS } from "../../src/protocol/SignedFrame.ts"
import { LEASE_SUBJECT, leaseAddress, LOG_SUBJECT, nodeAddress, nodesAddress } from "../../src/protocol/Subjects.ts"
import { sign } from "../../src/actors/Ed25519.ts"
import { type Random, seeded } from "../harness/Random.ts"

const LIMITS: ReplicaInboxLimits = { windowMs: 1000, remembered: 100, verifiedPerSecond: 1000, verifiedAtOnce: 50 }
const START = 1_790_000_000_000

/** A replica's inbox with clocks that the test holds, and another replica that writes to it. */
class Desk {
  readonly random: Random
  readonly boot: string
  readonly sender: string
  readonly secret: SecretKey
  readonly stranger: SecretKey
  readonly inbox: ReplicaInbox
  readonly counts: Record<string, number> = {}
  wall = START
  mono = 0
  isAwaited = true

  constructor(limits: Partial<ReplicaInboxLimits> = {}) {
    this.random = seeded(11)
    this.boot = this.random.uuid()
    this.sender = this.random.uuid()
    this.secret = importSeed(this.random.bytes(32))
    this.stranger = importSeed(this.random.bytes(32))
    const count = (what: string): void => void (this.counts[what] = (this.counts[what] ?? 0) + 1)
    const serverKey = importPublicKey(this.secret.text)
    assert.isNotNull(serverKey)
    this.inbox = new ReplicaInbox(
      {
        boot: this.boot,
        serverKey,
        wallClock: () => this.wall,
        monotonic: () => this.mono,
        awaitsLog: () => this.isAwaited,
        accepted: (kind) => count(`+${kind}`),
        refused: count
      },
      { ...LIMITS, ...limits }
    )
  }

  tick(ms: number): void {
    this.wall += ms
    this.mono += ms
  }

  message(content: ReplicaContent, patch: Partial<ReplicaMessage> = {}): ReplicaMessage {
    const nonce = this.random.bytes(16).toString("base64")
    return { from: this.sender, to: this.boot, at: this.wall, nonce, content, ...patch }
  }

  /** A good hint for a node, and where it belongs. */
  hint(patch: Partial<ReplicaMessage> = {}, secret = this.secret): readonly [subject: string, body: string] {
    const appId = this.random.uuid()
    const message = this.message({ kind: "commanded", nodes: [{ appId, epoch: 3 }] }, patch)
    return [nodeAddress(this.boot, appId), sealReplicaMessage(secret, message)]
  }

  log(patch: Partial<ReplicaMessage> = {}): readonly [string, string] {
    return [LOG_SUBJECT, sealReplicaMessage(this.secret, this.message({ kind: "log" }, { to: "*", ...patch }))]
  }

  cutOff(patch: Partial<ReplicaMessage> = {}): readonly [string, string] {
    return [LEASE_SUBJECT, sealReplicaMessage(this.secret, this.message({ kind: "cut_off" }, { to: "*", ...patch }))]
  }

  reaped(patch: Partial<ReplicaMessage> = {}, secret = this.secret): readonly [string, string] {
    return [leaseAddress(this.boot), sealReplicaMessage(secret, this.message({ kind: "reaped" }, patch))]
  }

  /** M of this text under the server's key. */
  signed(text: string): string {
    return attachSignature(text, sign(this.secret, TAGS.replica, text))
  }
}

let desk: Desk
beforeEach(() => {
  desk = new Desk()
})
const open = ([subject, body]: readonly [string, string]) => desk.inbox.open(subject, body)?.content ?? null
/** Refused by this reason, once, and nothing else was counted. */
const refused = (sent: readonly [string, string], reason: string): void => {
  const before = { ...desk.counts }
  assert.isNull(open(sent))
  assert.deepStrictEqual(desk.counts, { ...before, [reason]: (before[reason] ?? 0) + 1 })
}

describe("what is heard of other replicas", () => {
  it("a hint for a node, for several, and of the log", () => {
    const [subject, body] = desk.hint()
    assert.deepStrictEqual(open([subject, body]), {
      kind: "commanded",
      nodes: [{ appId: subject.split(".").at(-1)!, epoch: 3 }]
    })
    const nodes = [1, 2].map(() => ({ appId: desk.random.uuid(), epoch: null }))
    const several = sealReplicaMessage(desk.secret, desk.message({ kind: "moved", nodes }))
    assert.deepStrictEqual(open([nodesAddress(desk.boot), several]), { kind: "moved", nodes })
    assert.deepStrictEqual(open(desk.log()), { kind: "log" })
    assert.deepStrictEqual(desk.counts, { "+commanded": 1, "+moved": 1, "+log": 1 })
  })

  it("who is cut off, and that this boot is reaped, with who says so", () => {
    desk.isAwaited = false
    for (const [sent, kind] of [
      [desk.cutOff(), "cut_off"],
      [desk.reaped(), "reaped"]
    ] as const) {
      const message = desk.inbox.open(...sent)
      assert.deepStrictEqual([message?.from, message?.content], [desk.sender, { kind }])
    }
  })

  it("of the log nothing is even verified while nobody waits for it", () => {
    desk.isAwaited = false
    for (let i = 0; i < 2 * LIMITS.verifiedAtOnce; i++) refused(desk.log(), "unheeded")
    assert.isNotNull(open(desk.hint()))
  })
})

describe("what is not", () => {
  it("another key, another tag, or a changed byte", () => {
    refused(desk.hint({}, desk.stranger), "bad_signature")
    const [subject, body] = desk.hint()
    refused([subject, body.replace('"epoch":3', '"epoch":4')], "bad_signature")
    const text = encodeReplicaMessage(desk.message({ kind: "log" }, { to: "*" }))
    refused([LOG_SUBJECT, attachSignature(text, sign(desk.secret, TAGS.server, text))], "bad_signature")
  })

  it("what is no signed message: the old bare hints, a text cut off, one too long", () => {
    const [subject, body] = desk.hint()
    refused([subject, "moved"], "malformed")
    refused([subject, body.slice(0, -1)], "malformed")
    refused([subject, `${body} `], "malformed")
    refused([subject, `{"x":"${"é".repeat(2048)}"}`], "too_large")
    // By the right key, and no message all the same.
    refused([subject, desk.signed('{"v":1}')], "malformed")
    refused([subject, desk.signed('{"v":2}')], "version")
  })

  it("another replica's messages, and its own", () => {
    const other = desk.random.uuid()
    const appId = desk.random.uuid()
    const content: ReplicaContent = { kind: "moved", nodes: [{ appId, epoch: null }] }
    const foreign = sealReplicaMessage(desk.secret, desk.message(content, { to: other }))
    refused([nodeAddress(other, appId), foreign], "target")
    refused([nodeAddress(desk.boot, appId), foreign], "target")
    refused(desk.log({ from: desk.boot }), "own")
    refused(desk.cutOff({ from: desk.boot }), "own")
    refused(desk.reaped({}, desk.stranger), "bad_signature")
    refused(desk.reaped({ at: desk.wall - LIMITS.windowMs - 1 }), "stale")
    const someoneElse = sealReplicaMessage(desk.secret, desk.message({ kind: "reaped" }, { to: other }))
    refused([leaseAddress(other), someoneElse], "target")
    refused([leaseAddress(desk.boot), someoneElse], "target")
    refused(desk.hint({ from: desk.boot }), "own")
  })

  it("a message that was moved to another subject", () => {
    const [subject, body] = desk.hint()
    const [elsewhere] = desk.hint()
    refused([elsewhere, body], "target")
    refused([nodesAddress(desk.boot), body], "target")
    refused([LOG_SUBJECT, body], "target")
    refused([subject, desk.log()[1]], "target")
    refused([`${subject}.x`, body], "target")
    const nodes = [1, 2].map(() => ({ appId: desk.random.uuid(), epoch: null }))
    const several = sealReplicaMessage(desk.secret, desk.message({ kind: "moved", nodes }))
    refused([nodeAddress(desk.boot, nodes[0]!.appId), several], "target")
    // Signed for all replicas, and about nodes of one.
    const toAll = sealReplicaMessage(desk.secret, desk.message({ kind: "moved", nodes }, { to: "*" }))
    refused([LOG_SUBJECT, toAll], "target")
    const logToOne = sealReplicaMessage(desk.secret, desk.message({ kind: "log" }))
    refused([nodesAddress(desk.boot), logToOne], "target")
    // Leases: a question is for all, an answer for one, and neither is said elsewhere.
    const [lease, question] = desk.cutOff()
    const [address, answer] = desk.reaped()
    refused([lease, answer], "target")
    refused([LOG_SUBJECT, question], "target")
    refused([address, question], "target")
    refused([nodesAddress(desk.boot), answer], "target")
    refused([LEASE_SUBJECT, desk.reaped({ to: "*" })[1]], "target")
    refused([leaseAddress(desk.boot), desk.cutOff({ to: desk.boot })[1]], "target")
    refused([LEASE_SUBJECT, desk.log()[1]], "target")
    refused([leaseAddress(desk.boot), body], "target")
    // It was not spoilt where it belongs.
    assert.isNotNull(open([subject, body]))
  })

  it("a time out of the window, both ways", () => {
    refused(desk.hint({ at: desk.wall - LIMITS.windowMs - 1 }), "stale")
    refused(desk.hint({ at: desk.wall + LIMITS.windowMs + 1 }), "stale")
    assert.isNotNull(open(desk.hint({ at: desk.wall - LIMITS.windowMs })))
    assert.isNotNull(open(desk.hint({ at: desk.wall + LIMITS.windowMs })))
  })

  it("a kind of a later version, which is no fault", () => {
    const [subject, body] = desk.hint()
    const text = `${body.slice(0, body.lastIndexOf(',"sig"'))}}`.replace("commanded", "enlightened")
    refused([subject, desk.signed(text)], "unknown_kind")
  })

  it("the same message again, as long as its time is within the window", () => {
    const sent = desk.hint({ at: desk.wall + LIMITS.windowMs })
    assert.isNotNull(open(sent))
    for (let i = 0; i < 20; i++) {
      refused(sent, "replayed")
      desk.tick((2 * LIMITS.windowMs) / 20 - 1)
    }
    desk.tick(20)
    refused(sent, "replayed")
    // The wall clock lags behind the monotonic one.
    desk.mono += 500
    refused(sent, "replayed")
    desk.tick(501)
    refused(sent, "stale")
  })
})

describe("what is too much", () => {
  it("doubles cost no verification", () => {
    const sent = desk.hint()
    assert.isNotNull(open(sent))
    for (let i = 0; i < 10 * LIMITS.verifiedAtOnce; i++) refused(sent, "replayed")
    assert.isNotNull(open(desk.hint()))
  })

  it("more signatures than are verified in the time are dropped, the valid ones among them, until there is time again", () => {
    for (let i = 0; i < LIMITS.verifiedAtOnce; i++) refused(desk.hint({}, desk.stranger), "bad_signature")
    for (let i = 0; i < 1000; i++) refused(desk.hint({}, desk.stranger), "rate")
    refused(desk.hint(), "rate")
    desk.tick(1)
    assert.isNotNull(open(desk.hint()))
    refused(desk.hint(), "rate")
    // A pause earns no more than a burst.
    desk.tick(3_600_000)
    for (let i = 0; i < LIMITS.verifiedAtOnce; i++) assert.isNotNull(open(desk.hint()))
    refused(desk.hint(), "rate")
  })

  it("what can't be remembered is not let through, and there is room again when the first are forgotten", () => {
    desk = new Desk({ remembered: 10 })
    for (let i = 0; i < 10; i++) {
      assert.isNotNull(open(desk.hint()))
      desk.tick(1)
    }
    refused(desk.hint(), "overflow")
    desk.tick(2 * LIMITS.windowMs + 1000 - 10)
    const sent = desk.hint()
    assert.isNotNull(open(sent))
    refused(sent, "replayed")
    refused(desk.hint(), "overflow")
  })
})

describe("10,000 forged messages", () => {
  it("are refused one and all, and counted exactly, each by its reason", () => {
    desk = new Desk({ verifiedAtOnce: 20_000, remembered: 1000 })
    const { random } = desk
    const genuine = Array.from({ length: 100 }, () => desk.hint())
    for (const sent of genuine) assert.isNotNull(open(sent))
    const fakes: ReadonlyArray<readonly [reason: string, () => readonly [string, string]]> = [
      ["bad_signature", () => desk.hint({}, desk.stranger)],
      ["stale", () => desk.hint({ at: desk.wall - 60_000 })],
      ["target", () => desk.hint({ to: random.uuid() })],
      ["target", () => [nodeAddress(desk.boot, random.uuid()), desk.hint()[1]]],
      ["replayed", () => random.pick(genuine)],
      ["malformed", () => [nodesAddress(desk.boot), random.bytes(200).toString("latin1")]],
      [
        "malformed",
        () => {
          const [subject, body] = desk.hint()
          return [subject, body.slice(0, 1 + random.int(body.length - 1))]
        }
      ],
      ["too_large", () => [desk.hint()[0], "x".repeat(5000)]]
    ]
    const expected: Record<string, number> = { "+commanded": 100 }
    for (let i = 0; i < 10_000; i++) {
      const [reason, forge] = fakes[i % fakes.length]!
      assert.isNull(open(forge()))
      expected[reason] = (expected[reason] ?? 0) + 1
    }
    assert.deepStrictEqual(desk.counts, expected)
    assert.isNotNull(open(desk.hint()))
  })
})
