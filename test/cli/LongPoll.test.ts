import { createServer, type RequestListener, type Server } from "node:http"
import { afterEach, describe, expect, it } from "vitest"
import { Api } from "../../src/cli/Api.ts"
import { LongPoll } from "../../src/cli/LongPoll.ts"
import type { ServerPlace } from "../../src/cli/ServerPlace.ts"
import { freePort } from "../harness/freePort.ts"
import { waitUntil } from "../harness/waitUntil.ts"

const servers: Array<Server> = []

const listen = async (port: number, listener: RequestListener): Promise<Server> => {
  const server = createServer(listener)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve))
  return server
}

const stop = (server: Server): Promise<unknown> => {
  server.closeAllConnections()
  return new Promise((resolve) => server.close(resolve))
}

const json = (body: unknown, status = 200): RequestListener => {
  const type = status < 400 ? "application/json" : "application/problem+json"
  return (_request, response) => response.writeHead(status, { "content-type": type }).end(JSON.stringify(body))
}

const apiAt = (port: number, timeoutMs?: number): Api => {
  const place: ServerPlace = {
    endpoint: `ws://127.0.0.1:${port}/ws`,
    url: `http://127.0.0.1:${port}`,
    source: "--server",
    serverPubKey: null,
    level: null,
    adminKeyFile: null
  }
  return new Api(place, timeoutMs)
}

afterEach(async () => {
  for (const server of servers.splice(0)) await stop(server)
})

describe("a long poll", () => {
  it("fails at once where no server has ever answered", async () => {
    const poll = new LongPoll(apiAt(await freePort(), 60_000), () => {})
    await expect(poll.piece("x", {})).rejects.toMatchObject({ exitCode: 69 })
  })

  it("waits for a server that is restarted, and says so once", async () => {
    const port = await freePort()
    const notices: Array<string> = []
    const poll = new LongPoll(apiAt(port), (text) => notices.push(text))
    // The first answer stands; the second request is cut, as by kill -9.
    const first = await listen(port, (request, response) => {
      if (request.url?.includes("again") !== true) json({ a: 1 })(request, response)
    })
    expect((await poll.piece("x", {}))?.json).toEqual({ a: 1 })
    const waiting = poll.piece("again", {})
    await stop(first)
    await waitUntil("it is missed", () => notices.length > 0)
    // A server that comes up says "not yet" before it can answer.
    let asked = 0
    await listen(port, (request, response) => {
      asked++
      json(asked < 3 ? { code: "unavailable", detail: "starting" } : { a: 2 }, asked < 3 ? 503 : 200)(request, response)
    })
    expect((await waiting)?.json).toEqual({ a: 2 })
    expect(notices).toEqual([
      expect.stringMatching(/Asking again until it answers\.$/),
      expect.stringContaining("the server is back")
    ])
  })

  it("gives up when its time is over, while the server is away too", async () => {
    const port = await freePort()
    const poll = new LongPoll(apiAt(port, 500), () => {})
    const server = await listen(port, json({}))
    await poll.once("x", {})
    await stop(server)
    expect(await poll.piece("x", {})).toBeNull()
    expect(poll.isOver).toBe(true)
  })

  it("never waits longer than what is left of its time", async () => {
    const urls: Array<string> = []
    const port = await freePort()
    await listen(port, (request, response) => {
      urls.push(request.url ?? "")
      json({})(request, response)
    })
    await new LongPoll(apiAt(port), () => {}).piece("x", { after: "7" })
    await new LongPoll(apiAt(port, 4000), () => {}).piece("x", {})
    await new LongPoll(apiAt(port, 0), () => {}).piece("x", {})
    expect(urls[0]).toBe("/api/v1/x?after=7&timeout=25000ms")
    expect(Number(/timeout=(\d+)ms/.exec(urls[1] ?? "")?.[1])).toBeLessThanOrEqual(4000)
    expect(urls[2]).toBe("/api/v1/x?timeout=0ms")
  })

  it("ends at once when it is called off, and passes on what is no matter of waiting", async () => {
    const port = await freePort()
    const server = await listen(port, json({}))
    const poll = new LongPoll(apiAt(port), () => {})
    await poll.once("x", {})
    server.removeAllListeners("request")
    const calledOff = new AbortController()
    const waiting = poll.piece("x", {}, calledOff.signal)
    calledOff.abort()
    expect(await waiting).toBeNull()
    server.on("request", json({ code: "not_found", detail: "no such node" }, 404))
    await expect(poll.piece("x", {})).rejects.toMatchObject({ exitCode: 64, message: "no such node" })
  })
})
