import { describe, expect, it } from "vitest"
import { judgeRegister, judgeReRegister } from "../../src/actors/node/judgeRegister.ts"
import type { NodeState, RegisterFrame, ReRegisterFrame } from "../../src/protocol/Frames.ts"
import type { NodeRow } from "../../src/storage/NodeRow.ts"
import { APP, nodeRow, PARENT } from "./nodeRows.ts"

const registerFrame = (patch: Partial<RegisterFrame> = {}): RegisterFrame => ({
  type: "register",
  app_id: APP,
  parent_id: null,
  app_name: "node",
  child_pub_key: "key",
  process_info: { pid: 1, ppid: 0, uid: 0, gid: 0, hostname: "h", start_time: 0, executable: "x" },
  role_refs: [],
  ...patch
})

const OPEN = { verified: false, floor: "open" } as const

const reRegisterFrame = (patch: Partial<ReRegisterFrame> = {}): ReRegisterFrame => ({
  type: "re_register",
  app_id: APP,
  last_seq: 5,
  pub_key: "key",
  incarnation: 1,
  ...patch
})

const show = (verdict: ReturnType<typeof judgeRegister>): string =>
  verdict._tag === "Accept"
    ? verdict.event
    : verdict._tag === "Reject"
      ? `!${verdict.error.code}${verdict.impostor ? " impostor" : ""}`
      : verdict._tag

const row = (patch: Partial<NodeRow>) => nodeRow(patch)
const judge = (
  patch: Partial<NodeRow>,
  frame: Partial<RegisterFrame> = {},
  ticket: string | null = null,
  verified = false
) => show(judgeRegister(row(patch), registerFrame(frame), { verified, floor: "open" }, ticket))

const scheduled: Partial<NodeRow> = { status: "scheduled", pubKey: null, incarnation: 0, epoch: 0, lastSeq: 0 }
const rebindable: Partial<NodeRow> = {
  ticketHash: "t",
  supervision: { onParentExit: "abandon", onCrash: "notify", restarts: 2 }
}

describe("register on a node that exists (PROTOCOL §4)", () => {
  it.each<NodeState>(["connected", "running", "reconnecting", "crashed", "lost_contact"])(
    "%s + register with the same key → register, no ticket needed",
    (status) => expect(judge({ status, ticketHash: "t" })).toBe("register")
  )

  it.each<NodeState>(["connected", "running"])(
    "%s + register with a new key and the ticket → key_mismatch, impostor",
    (status) => expect(judge({ ...rebindable, status }, { child_pub_key: "new" }, "t")).toBe("!key_mismatch impostor")
  )

  it.each<NodeState>(["reconnecting", "crashed", "lost_contact"])(
    "%s + register with a new key and the ticket → rebind",
    (status) => {
      expect(judge({ ...rebindable, status }, { child_pub_key: "new" }, "t")).toBe("rebind")
      expect(judge({ ...rebindable, status, rebinds: 1 }, { child_pub_key: "new" }, "t")).toBe("rebind")
    }
  )

  it.each([
    ["the restarts are used up", { rebinds: 2 }, "t"],
    ["another ticket", {}, "other"],
    ["no ticket", {}, null],
    ["born without a ticket", { ticketHash: null }, null],
    ["the envelope names its only key", { childKey: "key" }, "t"]
  ] as const)("crashed + register with a new key, %s → key_mismatch, impostor", (_title, patch, ticket) =>
    expect(judge({ ...rebindable, status: "crashed", ...patch }, { child_pub_key: "new" }, ticket)).toBe(
      "!key_mismatch impostor"
    )
  )

  it.each<NodeState>(["done", "error"])("%s + register → terminal, with the last stored seq", (status) => {
    const verdict = judgeRegister(row({ status }), registerFrame(), OPEN, null)
    expect(verdict).toMatchObject({ _tag: "Reject", error: { code: "terminal", seq: 5, retryable: false } })
  })

  it.each<NodeState>(["cancelled", "start_failed"])(
    "%s + register with the bound key → a session that tells it to stop",
    (status) => expect(judge({ status })).toBe("CancelOnly")
  )

  it.each<NodeState>(["cancelled", "start_failed"])("%s + register with another key → terminal", (status) =>
    expect(judge({ status }, { child_pub_key: "new" })).toBe("!terminal")
  )

  it("refuses a wrong parent", () => expect(judge({}, { parent_id: PARENT })).toBe("!registration_failed"))
})

describe("the first register of a declared node (PROTOCOL §4, §5)", () => {
  it("scheduled + register with the declared ticket → register", () =>
    expect(judge({ ...scheduled, ticketHash: "t" }, {}, "t")).toBe("register"))

  it("a thief that comes first with another ticket → ticket_invalid, impostor", () =>
    expect(judge({ ...scheduled, ticketHash: "t" }, {}, "other")).toBe("!ticket_invalid impostor"))

  it("a key that the envelope does not name → key_mismatch, impostor", () =>
    expect(judge({ ...scheduled, ticketHash: "t", childKey: "named" }, {}, "t")).toBe("!key_mismatch impostor"))

  it("after the deadline, not yet swept → overdue", () =>
    expect(judge({ ...scheduled, deadlineAt: 1000, readAt: 1000 })).toBe("Overdue"))

  it("before the deadline → register", () =>
    expect(judge({ ...scheduled, deadlineAt: 1001, readAt: 1000 })).toBe("register"))

  it("start_failed + register of the late child → a session that tells it to stop", () =>
    expect(judge({ ...scheduled, status: "start_failed", ticketHash: "t" }, {}, "t")).toBe("CancelOnly"))

  it("start_failed + register with another ticket → ticket_invalid", () =>
    expect(judge({ ...scheduled, status: "start_failed", ticketHash: "t" }, {}, "x")).toBe("!ticket_invalid impostor"))
})

describe("levels bind every later frame (PROTOCOL §4)", () => {
  it("an unsigned register never touches a node above open", () => {
    expect(judge({ level: "signed" })).toBe("!level_too_weak")
    expect(show(judgeReRegister(row({ level: "signed" }), reRegisterFrame(), OPEN))).toBe("!level_too_weak")
  })
  it("a connection that is not for open nodes does not admit one, however well its frame is signed", () => {
    const proof = { verified: true, floor: "signed" } as const
    expect(show(judgeRegister(row({}), registerFrame(), proof, null))).toBe("!level_too_weak")
    expect(show(judgeReRegister(row({}), reRegisterFrame(), proof))).toBe("!level_too_weak")
    expect(show(judgeReRegister(row({ level: "signed" }), reRegisterFrame(), proof))).toBe("re_register")
  })
  it("a signed one does", () => expect(judge({ level: "signed" }, {}, null, true)).toBe("register"))
})

describe("re_register (PROTOCOL §4, §7)", () => {
  const judgeAgain = (patch: Partial<NodeRow>, frame: Partial<ReRegisterFrame> = {}) =>
    show(judgeReRegister(row(patch), reRegisterFrame(frame), OPEN))

  it.each<NodeState>(["connected", "running", "reconnecting", "crashed", "lost_contact"])(
    "%s + re_register with the bound key → re_register",
    (status) => expect(judgeAgain({ status })).toBe("re_register")
  )

  it.each([0, 2])("names incarnation %i where 1 is current → superseded", (incarnation) =>
    expect(judgeAgain({}, { incarnation })).toBe("!superseded")
  )

  it("another key → key_mismatch, impostor", () =>
    expect(judgeAgain({}, { pub_key: "new" })).toBe("!key_mismatch impostor"))
  it("never registered → not_registered", () => expect(judgeAgain(scheduled)).toBe("!not_registered"))
  it("cancelled → a session that tells it to stop", () =>
    expect(judgeAgain({ status: "cancelled" })).toBe("CancelOnly"))
  it("done → terminal", () => expect(judgeAgain({ status: "done" })).toBe("!terminal"))
  it("a legacy client names no incarnation", () => {
    const { incarnation: _, ...frame } = reRegisterFrame()
    expect(show(judgeReRegister(row({}), frame, OPEN))).toBe("re_register")
  })
})
