import { describe, expect, it } from "vitest"
import { Mailbox } from "../../src/actors/Mailbox.ts"
import type { NodeMessage } from "../../src/actors/NodeMessage.ts"

const session = {} as never
const data = (seq: number): NodeMessage => ({ _tag: "Data", session, decoded: { frame: { seq } } as never })
const lost: NodeMessage = { _tag: "SocketLost", session, cause: "peer" }
const deadline: NodeMessage = { _tag: "Deadline" }
const moved: NodeMessage = { _tag: "Moved" }
const registration = { _tag: "ReRegister" } as unknown as NodeMessage

describe("Mailbox", () => {
  it("keeps the order of control and data", () => {
    const box = new Mailbox()
    for (const message of [data(1), lost, data(2)]) box.offer(message, 10)
    expect(box.take(10)).toEqual([data(1), lost, data(2)])
    expect(box.size).toBe(0)
  })

  it("lets supervision go first", () => {
    const box = new Mailbox()
    for (const message of [data(1), deadline, data(2), moved]) box.offer(message, 10)
    expect(box.take(3)).toEqual([deadline, moved, data(1)])
    expect(box.take(3)).toEqual([data(2)])
  })

  it("collapses equal hints, so that a sweep can't fill it", () => {
    const box = new Mailbox()
    for (let i = 0; i < 100; i++) expect(box.offer(deadline, 1)).toBe(true)
    expect(box.size).toBe(1)
  })

  it("P17: refuses data beyond its capacity, and never a lost socket", () => {
    const box = new Mailbox()
    expect(box.offer(data(1), 1)).toBe(true)
    expect(box.offer(data(2), 1)).toBe(false)
    expect(box.offer(lost, 1)).toBe(true)
    expect(box.take(10)).toEqual([data(1), lost])
  })

  it("takes at most the turn's limit and keeps the rest in order", () => {
    const box = new Mailbox()
    for (let seq = 1; seq <= 5; seq++) box.offer(data(seq), 10)
    expect(box.take(2)).toEqual([data(1), data(2)])
    expect(box.take(9)).toEqual([data(3), data(4), data(5)])
  })

  it("knows of a waiting registration", () => {
    const box = new Mailbox()
    expect(box.hasRegistration).toBe(false)
    box.offer(registration, 10)
    expect(box.hasRegistration).toBe(true)
  })
})
