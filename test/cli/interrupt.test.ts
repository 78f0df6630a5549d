import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { expect, it } from "vitest"
import { APP_ID as ID, waitAnswer } from "./FakeServer.ts"
import { TrailsCommand } from "./TrailsCommand.ts"

it.for([
  ["wait", ID, "--progress"],
  ["log", ID, "--follow"],
  ["tree", ID, "--watch"]
])("Ctrl-C ends %j at once, while the server is away too", async (args) => {
  // It answers what does not wait, and goes away with the first that waits.
  const server = createServer((request, response) => {
    const path = request.url ?? ""
    if (/timeout=[1-9]/.test(path)) {
      server.closeAllConnections()
      server.close()
      return
    }
    const one = { ...waitAnswer({ status: "running", ended: false, outcome: null }), metadata_json: { n: 1 } }
    const many = { items: [], next: null, cursor: "1", truncated: false, total: 0, unchanged: true }
    const body = JSON.stringify(/log|tree/.test(path) ? many : one)
    response.writeHead(200, { "content-type": "application/json" }).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const url = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const command = new TrailsCommand(args, { HOME: tmpdir(), TRAILS_SERVER: url })
  await command.until("the server is missed", () => command.stderr.includes("Asking again"))
  command.process.kill("SIGINT")
  expect(await command.ended).toMatchObject({ code: 130, stdout: "" })
})
