import { createServer, type Server } from "node:net"
import { afterEach, beforeEach, expect, it } from "vitest"
import type { SocketPort } from "../../src/client/Platform.ts"
import { runPlatform } from "../../src/run/runPlatform.ts"
import { freePort } from "../harness/freePort.ts"
import { waitUntil } from "../harness/waitUntil.ts"

/** Takes connections and says nothing. */
let silent: Server
let taken: number

beforeEach(async () => {
  taken = 0
  silent = createServer((socket) => {
    taken++
    socket.on("error", () => {}).resume()
  })
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve))
})
afterEach(() => new Promise((resolve) => silent.close(resolve)))

/** What it tells of a socket to that port. */
const socketTo = (port: number) => {
  const failures: Array<string> = []
  const ends: Array<string> = []
  const platform = runPlatform({ pid: 1, ppid: 0, executable: "/bin/x" }, (reason) => failures.push(reason))
  const socket: SocketPort = platform.connect(`ws://127.0.0.1:${port}/ws`, {
    opened: () => {},
    message: () => {},
    alive: () => {},
    closed: (reason) => ends.push(reason)
  })
  return { socket, failures, ends }
}

it("a connection that is refused has failed", async () => {
  const { ends, failures } = socketTo(await freePort())
  await waitUntil("it is told", () => ends.length === 1)
  expect(failures).toEqual(ends)
})

it("one that was dropped for another one has not", async () => {
  const { ends, failures, socket } = socketTo((silent.address() as { port: number }).port)
  await waitUntil("it is on its way", () => taken === 1)
  socket.terminate()
  await waitUntil("it is told", () => ends.length === 1)
  expect(failures).toEqual([])
})
