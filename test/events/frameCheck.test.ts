import { describe, expect, it } from "vitest"
import { Verifier } from "../../src/events/index.ts"
import { makeKeypair } from "../harness/Keypair.ts"
import { EventMaker } from "./EventMaker.ts"

const node = new EventMaker()
const by = "c-1"
const verdictOf = async (...event: Parameters<EventMaker["event"]>) => {
  const verifier = new Verifier({ serverKey: node.server.text })
  await verifier.verify(node.connected())
  const verdict = await verifier.verify(node.event(...event))
  return verdict.verified ? verdict.by : verdict.reason
}

const result = node.messageFrame("Result", 3, by)
const answer = node.childFrame("control_result", { correlation_id: by, ack: true, result: {} })
const farewell = (reason: string) => node.childFrame("disconnect", { seq: 4, reason })
const told = { action: "set_rate", by: "admin", state: "delivered" }

describe("what trailsd makes an event of is verified", () => {
  it.for([
    ["a Status", "status", node.messageFrame("Status", 3, by), { seq: 3, correlation_id: by }],
    ["a Result", "result", result, { seq: 3, correlation_id: by }],
    ["an Error", "error", node.messageFrame("Error", 3), { seq: 3 }],
    ["a Result that is sent while a cancel is carried out", "cancelled", result, { seq: 3, correlation_id: by }],
    ["a Result of one who may only stop", "control", result, { seq: 3, facts: { only: "cancel" } }],
    ["an answer", "control", answer, { correlation_id: by }],
    ["an answer to a cancel", "cancelled", answer, { correlation_id: by }],
    ["a farewell: completed", "result", farewell("completed"), { seq: 4 }],
    ["a farewell: done", "result", farewell("done"), { seq: 4 }],
    ["a farewell: failed", "error", farewell("failed"), { seq: 4 }],
    ["a farewell: cancelled", "cancelled", farewell("cancelled"), { seq: 4 }],
    ["a farewell of one who may only stop", "control", farewell("completed"), { seq: 4, facts: { only: "cancel" } }]
  ] as const)("%s", async ([, kind, frame, patch]) => {
    expect(await verdictOf(kind, frame, patch)).toBe("node")
  })

  it.for(["connected", "recovered", "rebound"])("a registration: %s", async (kind) => {
    expect(await verdictOf(kind, node.registeredFrame())).toBe("server")
  })

  it("a registration of one who may only stop", async () => {
    expect(
      await verdictOf("control", node.registeredFrame(node.server, 1, node.keys.text, "cancel"), {
        facts: { only: "cancel" }
      })
    ).toBe("server")
  })

  it("a command that was told is the server's word", async () => {
    expect(await verdictOf("control", node.controlFrame(), { correlation_id: by, facts: told })).toBe("server")
    const fromRoot = new Verifier({ root: { appId: node.appId, key: node.keys.text }, envelope: () => null })
    const event = node.event("control", node.controlFrame(), { correlation_id: by, facts: told })
    expect(await fromRoot.verify(event)).toEqual({ verified: false, reason: "server_signed" })
  })
})

describe("a genuine frame in an event that says something else is a contradiction", () => {
  it.for([
    ["a registration as a crash", "crash", node.registeredFrame(), {}],
    ["a registration as a command", "control", node.registeredFrame(), {}],
    [
      "a registration for stopping as a connection",
      "connected",
      node.registeredFrame(undefined, 1, undefined, "cancel"),
      {}
    ],
    ["a registration of another session", "recovered", node.registeredFrame(), { epoch: 2 }],
    ["an answer as a crash", "crash", answer, { correlation_id: by }],
    ["an answer to another command", "control", answer, { correlation_id: "c-2" }],
    ["an answer to no command", "control", answer, {}],
    ["a Status as cancelled", "cancelled", node.messageFrame("Status", 3, by), { seq: 3, correlation_id: by }],
    ["a Result as cancelled that answers nothing", "cancelled", node.messageFrame("Result", 3), { seq: 3 }],
    ["a Result under another correlation", "result", result, { seq: 3, correlation_id: "c-2" }],
    ["a Result as a command's answer", "control", result, { seq: 3 }],
    ["a farewell after a failure as a result", "result", farewell("failed"), { seq: 4 }],
    ["a farewell after success as an error", "error", farewell("completed"), { seq: 4 }],
    ["a farewell as a crash", "crash", farewell("failed"), { seq: 4 }],
    ["a frame that is never told", "control", node.childFrame("capabilities", { capabilities: ["x"] }), {}],
    ["a command as a crash", "crash", node.controlFrame(), { correlation_id: by, facts: told }],
    ["another command", "control", node.controlFrame(), { correlation_id: "c-2", facts: told }],
    [
      "a command with another action",
      "control",
      node.controlFrame(),
      { correlation_id: by, facts: { ...told, action: "cancel" } }
    ],
    [
      "a command by somebody else",
      "control",
      node.controlFrame(),
      { correlation_id: by, facts: { ...told, by: "node:x" } }
    ],
    ["a command of another session", "control", node.controlFrame(), { correlation_id: by, facts: told, epoch: 2 }],
    [
      "another node's command",
      "control",
      new EventMaker(null, node.server).controlFrame(),
      { correlation_id: by, facts: told }
    ]
  ] as const)("%s", async ([, kind, frame, patch]) => {
    expect(await verdictOf(kind, frame, patch)).toBe("contradiction")
  })

  it("a command is signed by the server, nobody else", async () => {
    for (const signer of [node.keys, makeKeypair()]) {
      const frame = node.controlFrame({}, signer)
      expect(await verdictOf("control", frame, { correlation_id: by, facts: told })).toBe("bad_signature")
    }
  })
})
