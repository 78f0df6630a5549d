import { JetStreamApiError } from "@nats-io/jetstream"
import { errors } from "@nats-io/transport-node"
import { describe, expect, it } from "vitest"
import { parseTreeEventSubject } from "../../src/protocol/Subjects.ts"
import { readTreeEvent } from "../../src/protocol/TreeEvent.ts"
import type { TreeLogRow } from "../../src/storage/TreeLog.ts"
import { eventMessage } from "../../src/transports/EventMessages.ts"
import { differs, replicaWishes, streamConfig } from "../../src/transports/EventStream.ts"
import { fateOf, outletAway } from "../../src/transports/PublishFate.ts"
import { SETTINGS } from "./startTransport.ts"

const APP = "4f9c2c7e-8a55-4d5e-9d0a-5f4d1f7d9a10"
const row = (patch: Partial<TreeLogRow> = {}): TreeLogRow => ({
  id: 7,
  appId: APP,
  n: 3,
  epoch: 1,
  pathVersion: 1,
  createdAt: 1_795_000_000_000,
  kind: "status",
  incarnation: 1,
  seq: 2,
  correlationId: null,
  frame: '{"payload":"\u0001\ud800é"}',
  data: null,
  traceparent: null,
  parentId: null,
  rootId: APP,
  path: [APP],
  appName: "node",
  namespace: "default",
  ...patch
})
const limits = { maxPayload: 8192, restUrl: "https://t.example" }
const made = (patch: Partial<TreeLogRow>, bare = false, maxPayload = limits.maxPayload) => {
  const message = eventMessage(row(patch), bare, { ...limits, maxPayload })
  if ("unfit" in message) throw new Error(message.unfit)
  const event = readTreeEvent(JSON.parse(Buffer.from(message.body).toString()))
  if (event === null) throw new Error("no event")
  return { ...message, event }
}

describe("a row as a message", () => {
  it("has its id, its subject and its frame, whatever text is in it", () => {
    const { bare, cursor, event, id, subject } = made({})
    expect({ bare, cursor, id }).toEqual({ bare: false, cursor: 7, id: `${APP}:3` })
    expect(parseTreeEventSubject(subject)).toMatchObject({ kind: "status", namespace: "default" })
    // A lone surrogate has no UTF-8: JSON writes it as an escape.
    expect(event.data.frame).toBe('{"payload":"\u0001\ud800é"}')
  })

  it("goes without its frame from one byte above half of max_payload on, and from the start when it is told to", () => {
    const frame = "x".repeat(3000)
    const size = made({ frame }).body.length
    expect(made({ frame }, false, size * 2).bare).toBe(false)
    const { bare, event } = made({ frame }, false, size * 2 - 1)
    expect(bare).toBe(true)
    expect(event.data.frame).toBeUndefined()
    expect(event.dataref).toBe(`https://t.example/api/v1/apps/${APP}/log?after=2&limit=1`)
    expect(made({}, true).bare).toBe(true)
  })

  it("that has no frame to leave behind may take all of max_payload, and is unfit above", () => {
    const data = { reason: "x".repeat(4000) }
    expect(made({ frame: null, data }).event.data.facts).toEqual(data)
    expect(eventMessage(row({ frame: null, data }), false, { ...limits, maxPayload: 4500 })).toHaveProperty("unfit")
    expect(eventMessage(row({ data }), true, { ...limits, maxPayload: 4500 })).toHaveProperty("unfit")
  })

  it("of a kind that a newer server knows is sent; of one that would break a subject it is unfit", () => {
    expect(made({ kind: "hibernated" as never }).subject).toContain(".hibernated.")
    for (const kind of ["", "a.b", "a b", "*", ">", "A"]) {
      expect(eventMessage(row({ kind: kind as never }), false, limits)).toHaveProperty("unfit")
    }
  })
})

describe("the stream's configuration", () => {
  it("asks for three copies in a cluster and falls back, gives none up, and does as it is told", () => {
    expect(replicaWishes(null, false, 0)).toEqual([1])
    expect(replicaWishes(null, true, 0)).toEqual([3, 1])
    expect(replicaWishes(null, true, 1)).toEqual([3, 1])
    expect(replicaWishes(null, true, 5)).toEqual([5])
    expect(replicaWishes(null, false, 3)).toEqual([3])
    expect(replicaWishes(2, true, 3)).toEqual([2])
  })

  it("is told only when something of ours differs", () => {
    const wanted = streamConfig(SETTINGS.events, 1)
    expect(differs({ ...wanted, max_msgs: 5 } as never, wanted)).toBe(false)
    expect(differs({ ...wanted, max_age: 1 } as never, wanted)).toBe(true)
  })
})

describe("what a refused publish says", () => {
  const api = (err_code: number, code = 400) => new JetStreamApiError({ err_code, code, description: "d" })

  it.for([
    [api(10071), "misplaced"],
    [api(10070), "misplaced"],
    [api(10164), "misplaced"],
    [api(10054), "unfit"],
    [api(10097), "unfit"],
    [new errors.InvalidArgumentError("max_payload"), "unfit"],
    // Nothing of these is the event's own fault.
    [api(10060), "unknown"],
    [api(10077, 503), "unknown"],
    [api(10109), "unknown"],
    [api(99999), "unknown"],
    [new errors.TimeoutError(), "unknown"],
    [new errors.ClosedConnectionError(), "unknown"],
    ["text", "unknown"]
  ] as const)("%s: %s", ([error, tag]) => {
    expect(fateOf(error)._tag).toBe(tag)
  })

  it("names the remedy where an operator has to do something", () => {
    expect(outletAway(api(10047, 500))).toMatchObject({ reason: "refused" })
    expect(outletAway(api(10047, 500)).message).toContain("TRAILS_EVENTS_MAX_BYTES")
    expect(outletAway(api(10065)).message).toContain("no other stream")
    for (const code of [10005, 10074]) {
      expect(outletAway(api(code, 500))).toMatchObject({ reason: "refused" })
      expect(outletAway(api(code, 500)).message).toContain("TRAILS_EVENTS_REPLICAS")
    }
    expect(outletAway(api(10008, 503)).reason).toBe("away")
    expect(outletAway(new errors.TimeoutError()).reason).toBe("away")
  })
})
