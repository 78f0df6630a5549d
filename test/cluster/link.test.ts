import { connect, createServer, type Server, type Socket } from "node:net"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { waitUntil } from "../harness/waitUntil.ts"
import { Link } from "./Link.ts"

let server: Server
let link: Link
/** What the server has been sent, all connections together. */
let heard: string
let accepted: ReadonlyArray<Socket>
const clients: Array<Socket> = []

beforeEach(async () => {
  heard = ""
  accepted = []
  server = createServer((socket) => {
    accepted = [...accepted, socket]
    socket.on("error", () => {})
    socket.on("data", (chunk) => {
      heard += chunk.toString()
      socket.write(chunk)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  link = await Link.to((server.address() as { port: number }).port)
})
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await link.close()
  for (const socket of accepted) socket.destroy()
  await new Promise((resolve) => server.close(resolve))
})

/** A client with what it was told and whether it still thinks that it is connected. */
const dial = (by: Link = link) => {
  const socket = connect(by.port, "127.0.0.1")
  clients.push(socket)
  const client = { socket, told: "", isClosed: false }
  socket.on("error", () => {})
  socket.on("close", () => (client.isClosed = true))
  socket.on("data", (chunk) => (client.told += chunk.toString()))
  return client
}

const talking = async () => {
  const client = dial()
  client.socket.write("a")
  await waitUntil("the answer is here", () => client.told === "a")
  return client
}

describe("a link", () => {
  it("carries both ways, and the end of a side", async () => {
    const client = await talking()
    client.socket.end("b")
    await waitUntil("the connection is over", () => client.isClosed)
    expect([heard, client.told]).toEqual(["ab", "ab"])
    await waitUntil("the link has forgotten it", () => link.connections === 0)
  })

  it("cut silently: nothing passes, nobody is told, and all of it arrives in order when it is healed", async () => {
    const client = await talking()
    link.cut("silent")
    client.socket.write("b")
    const late = dial()
    late.socket.write("x")
    // The same way past the link: what takes no time there would have been through.
    const other = connect((server.address() as { port: number }).port, "127.0.0.1")
    clients.push(other)
    other.write("-")
    await waitUntil("the other way is open", () => heard.includes("-"))
    expect([heard, client.told, late.told, client.isClosed, late.isClosed]).toEqual(["a-", "a", "", false, false])
    link.heal()
    await waitUntil("all is through", () => client.told === "ab" && late.told === "x")
  })

  it("cut silently: an end is heard of after the healing only", async () => {
    const client = await talking()
    const whole = await Link.to((server.address() as { port: number }).port)
    const other = dial(whole)
    await waitUntil("both are there", () => accepted.length === 2)
    link.cut("silent")
    for (const socket of accepted) socket.destroy()
    await waitUntil("the client of a whole link has heard of it", () => other.isClosed)
    await whole.close()
    expect(client.isClosed).toBe(false)
    link.heal()
    await waitUntil("the client hears of it", () => client.isClosed)
  })

  it("cut by reset: connections break at once, and so do new ones until it is healed", async () => {
    const client = await talking()
    link.cut("reset")
    await waitUntil("it is broken", () => client.isClosed)
    const late = dial()
    await waitUntil("a new one too", () => late.isClosed)
    link.heal()
    await talking()
  })

  it("slow and lossy: everything arrives, late, and in order", async () => {
    await link.close()
    let n = 0
    // Every third piece is lost once.
    link = await Link.to((server.address() as { port: number }).port, () => (n++ % 3 === 0 ? 0 : 1))
    link.delay(30)
    link.lose(0.1)
    const client = dial()
    const from = performance.now()
    const text = Array.from({ length: 5 }, (_, index) => `${index};`)
    for (const [index, part] of text.entries()) {
      client.socket.write(part)
      await waitUntil("the part is through", () => client.told === text.slice(0, index + 1).join(""))
    }
    expect(heard).toBe(text.join(""))
    // Ten pieces of 30 ms, and at least three losses of 200 ms.
    expect(performance.now() - from).toBeGreaterThan(900)
  })
})
