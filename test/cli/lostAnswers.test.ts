import type { ServerResponse } from "node:http"
import { tmpdir } from "node:os"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { APP_ID, CORRELATION_ID, command, FakeServer, OPERATION_ID, operation, problem, reply } from "./FakeServer.ts"
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

const posted = () => server.asked.filter(({ method }) => method === "POST").map(({ body }) => body)

const page = (response: ServerResponse) =>
  response.writeHead(502, { "content-type": "text/html" }).end("<h1>Bad Gateway</h1>")

describe("a call whose answer is lost is made again, and is the same", () => {
  it.for([
    ["a connection that is cut", (response: ServerResponse) => response.destroy()],
    ["a proxy's page", page],
    ["a failure of the server", (response: ServerResponse) => problem(response, 503, "unavailable", "later")]
  ] as const)("a cancel, over %s", async ([, lose]) => {
    server.answer = ({ method }, response) => {
      if (method === "GET") return reply(response, operation())
      if (posted().length < 3) lose(response)
      else reply(response, operation())
    }
    const { code, stdout } = await start("cancel", "--cascade", "--yes", APP_ID).ended
    expect([code, stdout]).toEqual([0, "cancel 0b9c8f3e batch and all below it: 2 nodes, 2 levels: 2 acked in 2.0s\n"])
    expect(posted()).toHaveLength(3)
    expect(new Set(posted()).size).toBe(1)
    expect(posted()[0]).toContain('"idempotencyKey":"cli:')
  })

  it("a command", async () => {
    server.answer = (_asked, response) =>
      posted().length < 2 ? void response.destroy() : reply(response, command({ state: "queued" }), 201)
    expect(await start("send", APP_ID, "get").ended).toEqual({ code: 0, stdout: `${CORRELATION_ID}\n`, stderr: "" })
    expect(new Set(posted()).size).toBe(1)
  })

  it("but one that is refused is not", async () => {
    server.answer = (_asked, response) => problem(response, 409, "terminal", "The node has ended as done")
    const { code, stderr } = await start("send", APP_ID, "get").ended
    expect([code, stderr]).toEqual([64, "trails: The node has ended as done\n"])
    expect(posted()).toHaveLength(1)
  })
})

describe("what may have been done all the same is said, with how to look", () => {
  it.for([
    [
      ["cancel", "--cascade", "--yes", APP_ID],
      /It may have begun all the same\.\ntrails cascade lists the operations\.\n$/
    ],
    [
      ["send", APP_ID, "get"],
      /may be queued all the same\.\ntrails commands 0b9c8f3e shows it then; with --idempotency-key cli:\S+ it runs once/
    ]
  ] as const)("when no answer comes at all: %j", async ([args, words]) => {
    server.answer = (_asked, response) => void response.destroy()
    const { code, stderr, stdout } = await start(...args).ended
    expect([code, stdout]).toEqual([69, ""])
    expect(stderr).toMatch(words)
    expect(stderr).not.toContain("npm start")
    expect(posted()).toHaveLength(5)
  })

  it.for([
    [["cancel", "--cascade", "--yes", APP_ID], "trails: it may have begun all the same. trails cascade lists"],
    [
      ["send", APP_ID, "get", "--idempotency-key", "k1"],
      "trails: the command may be queued all the same. trails commands"
    ]
  ] as const)("when it is interrupted before the answer: %j", async ([args, words]) => {
    const ended = start(...args)
    await ended.until("it is under way", () => posted().length === 1)
    ended.process.kill("SIGINT")
    const { code, stderr, stdout } = await ended.ended
    expect([code, stdout]).toEqual([130, ""])
    expect(stderr).toContain(words)
  })

  it("and the operations can be listed, the newest last", async () => {
    const older = "254c24e2-a47a-4e55-9674-ca9d2252576d"
    const items = [
      operation({ state: "running", finished_at: null, level: 1, app_name: "a\u001b[2J" }, { acked: 1, asked: 1 }),
      operation({ id: older }, { acked: 1, forced: 1 })
    ]
    server.answer = (_asked, response) => reply(response, { items, next: null })
    const { code, stdout } = await start("cascade").ended
    expect(code).toBe(0)
    expect(stdout.trimEnd().split("\n")).toEqual([
      expect.stringMatching(new RegExp(`^.*  ${older}  cancel 0b9c8f3e batch .*: 1 acked, 1 forced in 2\\.0s$`)),
      expect.stringMatching(
        new RegExp(`^.*  ${OPERATION_ID}  cancel 0b9c8f3e a\\\\u001b\\[2J .* 1 of 2 through: 1 acked`)
      )
    ])
    const document = await start("cascade", "--json").ended
    expect(JSON.parse(document.stdout)).toEqual({ items })
  })
})
