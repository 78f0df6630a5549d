import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { Api } from "../../src/cli/Api.ts"
import { AskedNodes } from "../../src/cli/AskedNodes.ts"
import { FakeServer, OPERATION_ID, reply } from "./FakeServer.ts"

let server: FakeServer
/** Of the operation's nodes, the deepest first. */
let states: Array<string> = []
let asked: AskedNodes

const idOf = (index: number) => `${String(index).padStart(8, "0")}-0000-4000-8000-000000000000`
const nameOf = (index: number) => `${String(index).padStart(8, "0")} node-${index}`
const forever = new AbortController().signal

/** Where the pages began that were read since the last call. */
const begun = () => server.asked.splice(0).map(({ query }) => query.get("after"))

beforeEach(async () => {
  server = await FakeServer.start()
  server.answer = ({ path, query }, response) => {
    expect(path).toBe(`cascades/${OPERATION_ID}/nodes`)
    const from = Number(/^1:(\d+)/.exec(query.get("after") ?? "")?.[1] ?? -1) + 1
    const to = Math.min(from + Number(query.get("limit")), states.length)
    const items = states
      .slice(from, to)
      .map((state, at) => ({ app_id: idOf(from + at), app_name: `node-${from + at}`, state, outcome: null }))
    reply(response, { items, next: to < states.length ? `1:${idOf(to - 1)}` : null })
  }
  const url = `http://${server.address}`
  const known = { serverPubKey: null, level: null, adminKeyFile: null }
  asked = new AskedNodes(new Api({ endpoint: url, url, source: "--server", ...known }), OPERATION_ID, 3)
})
afterEach(() => server.close())

describe("those that an operation waits for", () => {
  it("are found behind any number of those that are through, which are not read again", async () => {
    states = Array.from({ length: 1600 }, (_, at) => (at === 1150 ? "asked" : at < 1200 ? "resolved" : "pending"))
    expect(await asked.look(1, forever)).toEqual([nameOf(1150)])
    expect(begun()).toEqual([null, `1:${idOf(499)}`, `1:${idOf(999)}`, `1:${idOf(1499)}`])
    states.fill("asked", 1200)
    expect(await asked.look(0, forever)).toEqual([1150, 1200, 1201].map(nameOf))
    expect(begun()).toEqual([`1:${idOf(999)}`])
  })

  it("one look reads so much and no more; the next goes on", async () => {
    states = Array.from({ length: 2600 }, (_, at) => (at === 2550 ? "asked" : "resolved"))
    expect(await asked.look(1, forever)).toEqual([])
    expect(await asked.look(1, forever)).toEqual([nameOf(2550)])
    expect(begun()).toHaveLength(6)
  })

  it("are looked for from the beginning when something was born further down", async () => {
    states = Array.from({ length: 600 }, (_, at) => (at < 550 ? "resolved" : "asked"))
    expect(await asked.look(1, forever)).toEqual([550, 551, 552].map(nameOf))
    states[0] = "asked"
    expect(await asked.look(2, forever)).toEqual([0, 550, 551].map(nameOf))
  })
})
