import { tmpdir } from "node:os"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { Api } from "../../src/cli/Api.ts"
import { barOf, readCascade } from "../../src/cli/CascadeAnswer.ts"
import { APP_ID, FakeServer, operation, reply } from "./FakeServer.ts"
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
