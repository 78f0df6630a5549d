import { once } from "node:events"
import { createServer } from "node:http"
import { connect, type Socket } from "node:net"
import { expect, it } from "vitest"
import { Listeners } from "../../src/transports/Listeners.ts"
import { waitUntil } from "../harness/waitUntil.ts"

/** So many that the kernel gives some of them to every listener. */
const MANY = 200

it("whichever listener takes a connection, its end is left to the owner: Node does not answer it by itself", async () => {
  const http = createServer()
  const taken: Array<Socket> = []
  http.on("connection", (socket: Socket) => taken.push(socket))
  const listeners = new Listeners(http, MANY)
  const { host, port } = await listeners.open("127.0.0.1", 0)
  const peers = Array.from({ length: MANY }, () => connect(port, host))
  await waitUntil("all are taken", () => taken.length === MANY)
  expect(taken.filter((socket) => !socket.allowHalfOpen)).toEqual([])
  for (const peer of peers) peer.destroy()
  listeners.close()
  await once(http, "close")
  await new Promise<void>((resolve) => listeners.whenEmpty(resolve))
})
