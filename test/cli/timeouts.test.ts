import { tmpdir } from "node:os"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { APP_ID, command, FakeServer, problem, reply, waitAnswer } from "./FakeServer.ts"
import { type Ended, TrailsCommand } from "./TrailsCommand.ts"

/** Milliseconds: what a request is given at most is half as much again, what is asked for below a third of it. */
const WITHIN_MS = 10_000

let server: FakeServer

beforeAll(async () => {
  server = await FakeServer.start()
})
afterEach(() => {
  server.reset()
})
afterAll(() => server.close())

const timed = async (...args: ReadonlyArray<string>): Promise<Ended & { readonly tookMs: number }> => {
  const started = performance.now()
  const ended = await new TrailsCommand(args, { HOME: tmpdir(), TRAILS_SERVER: server.address }).ended
  return { ...ended, tookMs: performance.now() - started }
}

const isNode = waitAnswer({ status: "running", ended: false, outcome: null })

describe("--timeout bounds all that a command does", () => {
  it("a server that goes silent while it is waited for", async () => {
    // It answers once, as if the time that was asked for were over.
    server.answer = (_asked, response) => {
      if (server.asked.length === 1) reply(response, isNode)
    }
    const { code, tookMs } = await timed("wait", APP_ID, "--timeout", "1500ms")
    expect(code).toBe(3)
    expect(tookMs).toBeLessThan(WITHIN_MS)
  })

  it("the look for a short id", async () => {
    const { code, stderr, tookMs } = await timed("wait", "0b9c8f3e", "--timeout", "300ms")
    expect([code, stderr]).toEqual([69, expect.stringContaining("does not answer: no answer within 3 s")])
    expect(tookMs).toBeLessThan(WITHIN_MS)
  })

  it("the request that queues a command", async () => {
    const { code, stderr, tookMs } = await timed("send", APP_ID, "get", "--wait", "--timeout", "300ms")
    expect([code, stderr]).toEqual([69, expect.stringContaining("may be queued all the same")])
    expect(tookMs).toBeLessThan(WITHIN_MS)
    expect(server.asked).toHaveLength(1)
  })

  it("the answer to a command", async () => {
    server.answer = ({ method }, response) => {
      if (method === "POST") reply(response, command({ state: "queued" }), 201)
    }
    const { code, stderr, tookMs } = await timed("send", APP_ID, "get", "--wait", "--timeout", "300ms")
    expect([code, stderr]).toEqual([3, expect.stringContaining("may be yet")])
    expect(tookMs).toBeLessThan(WITHIN_MS)
  })

  it("a server that always says later", async () => {
    server.answer = (_asked, response) => problem(response, 503, "overloaded", "later", 5)
    const { code, tookMs } = await timed("wait", APP_ID, "--timeout", "300ms")
    expect(code).toBe(69)
    expect(tookMs).toBeLessThan(WITHIN_MS)
  })
})
