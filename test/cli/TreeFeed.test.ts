import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { afterEach, describe, expect, it } from "vitest"
import { Api } from "../../src/cli/Api.ts"
import { LongPoll } from "../../src/cli/LongPoll.ts"
import { APP_ID, treeRow } from "./FakeServer.ts"
import { followNewest, followTree, type ReadTree } from "../../src/cli/TreeFeed.ts"

let server: Server

afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

/** A server whose one tree has these states of its root, one more each time that somebody waits for a change. */
const serverOf = async (states: ReadonlyArray<string>, hidden: (limit: string | null) => number): Promise<LongPoll> => {
  let at = 0
  server = createServer((request, response) => {
    const url = new URL(request.url ?? "", "http://x")
    const reply = (body: unknown) =>
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body))
    if (url.pathname.endsWith("/apps")) return reply({ items: [{ app_id: APP_ID }], next: null })
    if (url.searchParams.has("timeout") && ++at >= states.length) return
    const left = hidden(url.searchParams.get("limit"))
    const items = [treeRow({ status: states[at] })]
    reply({ items, cursor: String(at), truncated: left > 0, total: 1 + left, unchanged: false })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const known = { serverPubKey: null, level: null, adminKeyFile: null }
  return new LongPoll(new Api({ endpoint: url, url, source: "--server", ...known }), () => {})
}

const statesIn = (seen: Array<string>, enough: number, stop: AbortController) => (tree: ReadTree) => {
  seen.push(tree.answer.items[0]?.status ?? "")
  if (seen.length === enough) stop.abort()
}

const withinTenSeconds = (stop: AbortController) => AbortSignal.any([stop.signal, AbortSignal.timeout(10_000)])

describe("a followed tree", () => {
  it("has not ended while nodes that were left out of the answer may be at work", async () => {
    const stop = new AbortController()
    const seen: Array<string> = []
    const poll = await serverOf(["done", "done", "done"], () => 1)
    await followTree(poll, "x", statesIn(seen, 3, stop), withinTenSeconds(stop))
    expect(seen).toEqual(["done", "done", "done"])
  })

  it("has ended when the whole of it has", async () => {
    const stop = new AbortController()
    const seen: Array<string> = []
    const poll = await serverOf(["running", "done"], (limit) => (limit === null ? 1 : 0))
    await followTree(poll, "x", statesIn(seen, 9, stop), AbortSignal.timeout(10_000))
    expect(seen).toEqual(["running", "done"])
  })
})

describe("the newest trees", () => {
  it("show one that comes back after it was given up for lost", async () => {
    const stop = new AbortController()
    const seen: Array<string> = []
    const poll = await serverOf(["running", "crashed", "running"], () => 0)
    const keep = statesIn(seen, 3, stop)
    await followNewest(poll, (trees) => trees.forEach(keep), withinTenSeconds(stop))
    expect(seen).toEqual(["running", "crashed", "running"])
  })
})
