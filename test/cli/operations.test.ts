import { tmpdir } from "node:os"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { Api } from "../../src/cli/Api.ts"
import { barOf, readCascade } from "../../src/cli/CascadeAnswer.ts"
import { APP_ID, command, CORRELATION_ID, FakeServer, OPERATION_ID, operation, problem, reply } from "./FakeServer.ts"
import { TrailsCommand } from "./TrailsCommand.ts"

let server: FakeServer

const trails = (...args: ReadonlyArray<string>) =>
  new TrailsCommand(args, { HOME: tmpdir(), TRAILS_SERVER: server.address }).ended

beforeAll(async () => {
  server = await FakeServer.start()
})
afterEach(() => {
  server.reset()
})
afterAll(() => server.close())

it("a command is named when the server fails while it is waited for", async () => {
  server.answer = ({ method }, response) => {
    if (method === "POST") reply(response, command({ state: "queued" }), 201)
    else problem(response, 500, "internal", "The database refused the query")
  }
  const { code, stderr } = await trails("send", APP_ID, "get", "--wait")
  expect([code, stderr]).toEqual([70, expect.stringContaining(`shows what becomes of ${CORRELATION_ID}.`)])
})

describe("an operation", () => {
  it("says when no node has the tags that were asked for, planned, carried out, and listed", async () => {
    const nobody = operation({ filter: { team: "etl" }, total: 0, levels: 0 }, {})
    server.answer = ({ path }, response) =>
      reply(response, path === "cascades" ? { items: [nobody], next: null } : nobody)
    const args = ["cancel", "--cascade", "--filter", "team=etl", APP_ID]
    const all = await Promise.all([trails(...args, "--dry-run"), trails(...args), trails("cascade")])
    for (const { code, stdout } of all)
      expect([code, stdout]).toEqual([0, expect.stringContaining("no node has these tags")])
  })

  it.for([
    ["while it is watched", () => null],
    [
      "when the names of its report are asked for",
      (path: string) => (path.endsWith("nodes") ? null : operation({}, { forced: 2 }))
    ]
  ] as const)("is named when the server fails, %s", async ([, answerTo]) => {
    server.answer = ({ method, path }, response) => {
      const found = method === "POST" ? operation({ state: "running" }) : answerTo(path)
      if (found === null) problem(response, 500, "internal", "The database refused the query")
      else reply(response, found)
    }
    const { code, stderr } = await trails("cancel", "--cascade", APP_ID)
    expect(code).toBe(70)
    expect(stderr).toBe(`trails: The database refused the query\ntrails cascade ${OPERATION_ID} shows how far it is.\n`)
  })

  it.each([
    [{ acked: 2 }, 24],
    [{ acked: 1, asked: 1 }, 12],
    [{ asked: 5 }, 0],
    [{ pending: -2 }, 24]
  ])("of the counts %j has %i of 24 parts of its bar, whatever adds up", (counts, full) => {
    const url = `http://${server.address}`
    const known = { serverPubKey: null, level: null, adminKeyFile: null }
    const api = new Api({ endpoint: url, url, source: "--server", ...known })
    const json = operation({}, counts)
    const bar = barOf(readCascade(api, { json, text: JSON.stringify(json), now: 0 }))
    expect(bar).toBe("█".repeat(full) + "░".repeat(24 - full))
  })
})
