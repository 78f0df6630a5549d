import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { afterEach, describe, expect, it } from "vitest"
import { Api } from "../../src/cli/Api.ts"
import { followLog } from "../../src/cli/LogFeed.ts"
import { LongPoll } from "../../src/cli/LongPoll.ts"

let server: Server

afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

/** A node whose log grows by the next of `kinds` whenever its status was asked for, or somebody waits for it. */
const nodeThat = async (kinds: ReadonlyArray<string>): Promise<LongPoll> => {
  let n = 1
  server = createServer((request, response) => {
    const url = new URL(request.url ?? "", "http://x")
    const reply = (body: unknown) =>
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body))
    if (url.pathname.endsWith("/wait")) {
      reply({ status: kinds[n - 1] === "result" ? "done" : "running" })
      n = Math.min(n + 1, kinds.length)
      return
    }
    const after = Number(url.searchParams.get("after"))
    if (url.searchParams.has("timeout") && after === n) n = Math.min(n + 1, kinds.length)
    const items = kinds.slice(after, n).map((kind, index) => ({
      n: after + index + 1,
      kind,
      created_at: "2026-11-25T15:30:00Z",
      data: null,
      payload: null
    }))
    // A long poll without rows waits, for ever where nothing comes any more.
    if (items.length > 0 || !url.searchParams.has("timeout")) reply({ items, next: null })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const known = { serverPubKey: null, level: null, adminKeyFile: null }
  return new LongPoll(new Api({ endpoint: url, url, source: "--server", ...known }), () => {})
}

describe("a followed log", () => {
  it.for([[["connected", "result"]], [["connected", "status", "status", "result"]]] as const)(
    "ends with the node's end, also when that falls between two requests: %j",
    async ([kinds]) => {
      const seen: Array<string> = []
      const poll = await nodeThat(kinds)
      const tooLate = AbortSignal.timeout(10_000)
      for await (const row of followLog(poll, "x", 0, tooLate)) seen.push(row.kind)
      expect(tooLate.aborted).toBe(false)
      expect(seen).toEqual(kinds)
    }
  )
})
