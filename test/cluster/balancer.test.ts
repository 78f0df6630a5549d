import { createServer, type Server } from "node:http"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { WebSocket, WebSocketServer } from "ws"
import { freePort } from "../harness/freePort.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { Balancer } from "./Balancer.ts"

/** A server that says its name to everybody, and of `/readyz` what the test wants. */
class Named {
  readonly name: string
  ready = true
  readonly #server: Server
  port = 0

  constructor(name: string) {
    this.name = name
    this.#server = createServer((request, response) => {
      response.statusCode = request.url === "/readyz" && !this.ready ? 503 : 200
      response.end(this.name)
    })
    const sockets = new WebSocketServer({ server: this.#server })
    sockets.on("connection", (socket) => socket.send(this.name))
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(this.port, "127.0.0.1", resolve))
    this.port = (this.#server.address() as { port: number }).port
    return this
  }

  /** As a process that is killed: its connections break, its port is nobody's. */
  async end(): Promise<void> {
    const gone = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await gone
  }
}

let servers: ReadonlyArray<Named>
let balancer: Balancer

beforeEach(async () => {
  servers = await Promise.all(["a", "b", "c"].map((name) => new Named(name).start()))
  balancer = await Balancer.inFrontOf(await freePort(), servers, 50)
})
afterEach(async () => {
  await balancer.close()
  await Promise.all(servers.map((server) => server.end()))
})

const ask = async (): Promise<string> => {
  const response = await fetch(`http://127.0.0.1:${balancer.port}/`, { headers: { connection: "close" } })
  return await response.text()
}
const askThrice = async (): Promise<ReadonlyArray<string>> => [await ask(), await ask(), await ask()]

describe("the balancer", () => {
  it("gives connections to each server in turn, WebSockets too", async () => {
    expect((await askThrice()).toSorted()).toEqual(["a", "b", "c"])
    const socket = new WebSocket(`ws://127.0.0.1:${balancer.port}/`)
    const told = await new Promise((resolve) => socket.once("message", (data: Buffer) => resolve(data.toString())))
    socket.terminate()
    expect(["a", "b", "c"]).toContain(told)
  })

  it("skips one that is not ready, until it is", async () => {
    servers[1]!.ready = false
    await waitUntil("it has noticed", () => balancer.ready.join() === "a,c")
    expect([...new Set([...(await askThrice()), await ask()])].toSorted()).toEqual(["a", "c"])
    servers[1]!.ready = true
    await waitUntil("it has noticed", () => balancer.ready.length === 3)
    expect((await askThrice()).toSorted()).toEqual(["a", "b", "c"])
  })

  it("skips one that is gone, until it is back", async () => {
    await servers[0]!.end()
    await waitUntil("it has noticed", () => balancer.ready.join() === "b,c")
    expect([...new Set([...(await askThrice()), await ask()])].toSorted()).toEqual(["b", "c"])
    await servers[0]!.start()
    await waitUntil("it has noticed", () => balancer.ready.length === 3)
  })

  it("breaks a connection when nobody is ready", async () => {
    for (const server of servers) server.ready = false
    await waitUntil("it has noticed", () => balancer.ready.length === 0)
    await expect(ask()).rejects.toThrow("fetch failed")
  })
})
