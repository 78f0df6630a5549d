import { tmpdir } from "node:os"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { APP_ID, command, FakeServer, reply, waitAnswer } from "./FakeServer.ts"
import { TrailsCommand } from "./TrailsCommand.ts"

let server: FakeServer

const start = (...args: ReadonlyArray<string>): TrailsCommand =>
  new TrailsCommand(args, { HOME: tmpdir(), TRAILS_SERVER: server.address })

beforeAll(async () => {
  server = await FakeServer.start()
})
afterEach(() => {
  server.reset()
})
afterAll(() => server.close())

const bodies = [{}, { items: 5 }, { items: [null] }, { items: [{ app_id: "x" }], metadata_json: 7, cursor: [] }]

describe("an answer that is not as trailsd's was not answered by trailsd", () => {
  it.for([
    ["status", "0b9c8f3e"],
    ["status", APP_ID],
    ["wait", APP_ID],
    ["wait", APP_ID, "--progress"],
    ["log", APP_ID],
    ["log", APP_ID, "--follow"],
    ["tree", APP_ID],
    ["tree", APP_ID, "--watch"],
    ["tree"],
    ["tree", "--watch"],
    ["children", APP_ID],
    ["subject", APP_ID],
    ["orphans"],
    ["cascade"]
  ])("%j", async (args) => {
    for (const body of bodies) {
      server.answer = (_asked, response) => reply(response, body)
      const { code, stderr, stdout } = await start(...args).ended
      expect([body, code, stdout]).toEqual([body, 69, ""])
      expect(stderr).toContain("There is no trailsd at")
    }
  })
})

describe("a server that answers at once where it should wait is asked five times a second at most", () => {
  const events = { items: [], next: "5" }
  const log = { items: [], next: null }
  const tree = { items: [], cursor: "1", truncated: false, total: 0, unchanged: true }
  const running = waitAnswer({ status: "running", ended: false, outcome: null })
  it.for([
    [["wait", APP_ID], () => running],
    [["watch"], () => events],
    [["tree", APP_ID, "--watch"], () => tree],
    [["log", APP_ID, "--follow"], (path: string) => (path.endsWith("log") ? log : running)],
    [["send", APP_ID, "get", "--wait"], () => command({ state: "queued" })]
  ] as const)("%j", async ([args, bodyOf]) => {
    // Of the requests that ask it to wait.
    const times: Array<number> = []
    server.answer = ({ path, query }, response) => {
      if (!["0", null].includes(query.get("timeout"))) times.push(performance.now())
      reply(response, bodyOf(path))
    }
    const asking = start(...args)
    await asking.until("it asks again and again", () => times.length >= 6)
    asking.process.kill("SIGINT")
    await asking.ended
    // A timer may fire a little early, and what is sent late is received late.
    expect(times[5]! - times[0]!).toBeGreaterThan(4 * 200)
  })
})
