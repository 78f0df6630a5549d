import { describe, expect, it } from "vitest"
import type { NodeState } from "../../src/protocol/Frames.ts"
import {
  disconnectEvent,
  type LifecycleEvent,
  type Loss,
  type Standing,
  transition
} from "../../src/actors/Lifecycle.ts"
import { isFinal } from "../../src/protocol/Final.ts"

/**
 * PROTOCOL §7 as a table: rows are states, columns events. A cell is the state that follows, `!code` where the sender is
 * refused, `-` where the event is out of date and ignored. `<` is the state before the silence.
 */
const EVENTS = [
  "register",
  "rebind",
  "re_register",
  "status",
  "result",
  "error",
  "disconnect_completed",
  "disconnect_error",
  "disconnect_cancelled",
  "connection_drop",
  "heartbeat_timeout",
  "server_closed",
  "replica_lost",
  "deadline",
  "intent_deleted",
  "cancelled",
  "forced",
  "superseded"
] as const satisfies ReadonlyArray<LifecycleEvent>

const nr = "!not_registered"
const km = "!key_mismatch"
const rf = "!registration_failed"
const t = "!terminal"
const C = "connected"
const X = "cancelled"
const R = "reconnecting"

// prettier-ignore
const TABLE: Record<NodeState, ReadonlyArray<string>> = {
  //             register rebind re_reg status     result  error    d_compl d_error  d_canc  drop heart server replica deadline        intent cancel forced superseded
  scheduled:    [C,       km,    nr,    nr,        nr,     nr,      nr,     nr,      nr,     "-", "-",  "-",   "-",    "start_failed", X,     X,     X,     X],
  connected:    [C,       km,    "connected", "running", "done", "error", "done", "error", X, R,  R,    R,     R,      "-",            rf,    X,     X,     X],
  running:      [C,       km,    "running", "running",   "done", "error", "done", "error", X, R,  R,    R,     R,      "-",            rf,    X,     X,     X],
  reconnecting: [C,       C,     "<",   nr,        nr,     nr,      nr,     nr,      nr,     "-", "-",  "-",   "-",    "?",            rf,    X,     X,     X],
  crashed:      [C,       C,     "<",   nr,        nr,     nr,      nr,     nr,      nr,     "-", "-",  "-",   "-",    "-",            rf,    X,     X,     X],
  lost_contact: [C,       C,     "<",   nr,        nr,     nr,      nr,     nr,      nr,     "-", "-",  "-",   "-",    "-",            rf,    X,     X,     X],
  done:         [t,       t,     t,     t,         t,      t,       t,      t,       t,      "-", "-",  "-",   "-",    "-",            t,     "-",   "-",   "-"],
  error:        [t,       t,     t,     t,         t,      t,       t,      t,       t,      "-", "-",  "-",   "-",    "-",            t,     "-",   "-",   "-"],
  cancelled:    [t,       t,     t,     t,         t,      t,       t,      t,       t,      "-", "-",  "-",   "-",    "-",            t,     "-",   "-",   "-"],
  start_failed: [t,       t,     t,     t,         t,      t,       t,      t,       t,      "-", "-",  "-",   "-",    "-",            t,     "-",   "-",   "-"]
}

const silent = (status: NodeState) => status === "reconnecting" || status === "crashed" || status === "lost_contact"

/** `before` and `loss` as they stand in that state. */
const standings = (status: NodeState): ReadonlyArray<Standing> => {
  if (!silent(status)) return [{ status, before: null, loss: null }]
  const losses: ReadonlyArray<Loss> = ["connection_drop", "heartbeat_timeout", "server_closed", "replica_lost"]
  return losses.flatMap((loss) => [
    { status, before: "connected" as const, loss },
    { status, before: "running" as const, loss }
  ])
}

const VERDICT: Record<Loss, NodeState> = {
  connection_drop: "crashed",
  heartbeat_timeout: "crashed",
  server_closed: "lost_contact",
  replica_lost: "lost_contact"
}

const expected = (from: Standing, cell: string): string =>
  cell === "<" ? from.before! : cell === "?" ? VERDICT[from.loss!] : cell

const show = (result: ReturnType<typeof transition>): string =>
  result._tag === "Moved" ? result.to.status : result._tag === "Refused" ? `!${result.code}` : "-"

describe("lifecycle, cell by cell (PROTOCOL §7)", () => {
  for (const status of Object.keys(TABLE) as ReadonlyArray<NodeState>) {
    for (const [column, event] of EVENTS.entries()) {
      const cell = TABLE[status][column]!
      for (const from of standings(status)) {
        const suffix = from.loss === null ? "" : ` (before ${from.before}, ${from.loss})`
        it(`${status}${suffix} + ${event} → ${expected(from, cell)}`, () => {
          expect(show(transition(from, event))).toBe(expected(from, cell))
        })
      }
    }
  }

  it("has a cell for every state and event", () => {
    for (const row of Object.values(TABLE)) expect(row.length).toBe(EVENTS.length)
  })
})

describe("lifecycle timers, kinds and memory", () => {
  const at = (status: NodeState, before: NodeState | null = null, loss: Loss | null = null): Standing => ({
    status,
    before,
    loss
  })

  it.each([
    ["connection_drop", "disconnect_grace"],
    ["heartbeat_timeout", "disconnect_grace"],
    ["server_closed", "reconnect_window"],
    ["replica_lost", "reconnect_window"]
  ] as const)("running + %s starts the %s", (event, timer) => {
    expect(transition(at("running"), event)).toMatchObject({
      timer,
      kind: "reconnecting",
      reason: event,
      to: { before: "running", loss: event }
    })
  })

  it("a verdict of silence keeps the state to return to", () => {
    expect(transition(at("reconnecting", "running", "connection_drop"), "deadline")).toMatchObject({
      kind: "crash",
      reason: "connection_drop",
      timer: "none",
      to: { status: "crashed", before: "running" }
    })
    expect(transition(at("reconnecting", "connected", "replica_lost"), "deadline")).toMatchObject({
      kind: "lost_contact",
      to: { before: "connected" }
    })
  })

  it("a start that never came is the crash never_started", () => {
    expect(transition(at("scheduled"), "deadline")).toMatchObject({ kind: "start_failed", reason: "never_started" })
  })

  it.each([
    ["register", "connected"],
    ["rebind", "rebound"],
    ["re_register", "recovered"]
  ] as const)("crashed + %s is the event %s and forgets the silence", (event, kind) => {
    expect(transition(at("crashed", "running", "connection_drop"), event)).toMatchObject({
      kind,
      timer: "none",
      to: { before: null, loss: null }
    })
  })

  it.each([
    ["status", "status", "keep"],
    ["result", "result", "none"],
    ["error", "error", "none"],
    ["disconnect_completed", "result", "none"],
    ["disconnect_error", "error", "none"],
    ["disconnect_cancelled", "cancelled", "none"]
  ] as const)("running + %s is logged as %s", (event, kind, timer) => {
    expect(transition(at("running"), event)).toMatchObject({ kind, timer })
  })

  it.each([
    ["completed", "disconnect_completed"],
    ["done", "disconnect_completed"],
    ["error", "disconnect_error"],
    ["failed", "disconnect_error"],
    ["cancelled", "disconnect_cancelled"],
    ["whatever", "disconnect_error"],
    ["", "disconnect_error"]
  ])("disconnect %j means %s", (reason, event) => {
    expect(disconnectEvent(reason)).toBe(event)
  })

  it("P9: final are done, error, cancelled, start_failed and nothing else", () => {
    const finals = (Object.keys(TABLE) as ReadonlyArray<NodeState>).filter(isFinal)
    expect(finals.toSorted()).toEqual(["cancelled", "done", "error", "start_failed"])
  })
})
