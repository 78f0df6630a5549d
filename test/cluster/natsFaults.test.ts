import { setTimeout as sleep } from "node:timers/promises"
import { connect, headers, type NatsConnection } from "@nats-io/transport-node"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { SOUND } from "../harness/LossyBus.ts"
import { NatsServer } from "../harness/NatsServer.ts"
import { seeded } from "../harness/Random.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { Link } from "./Link.ts"
import { NatsFaults, NatsReader } from "./NatsFaults.ts"

const LARGEST = "x".repeat(1024 * 1024)
const TRAP = "\r\nPUB trap 3\r\nabc\r\n\r\n"

/** One of each, with what makes them hard to tell apart. */
const OPERATIONS: ReadonlyArray<readonly [text: string, isMessage: boolean]> = [
  ['INFO {"server_name":"PUB a 3","max_payload":1048576} \r\n', false],
  ['CONNECT {"verbose":false}\r\n', false],
  ["SUB _trails.log 1\r\n", false],
  ["SUB a queue 2\r\n", false],
  ["UNSUB 2 5\r\n", false],
  ["PING\r\n", false],
  ["PONG\r\n", false],
  ["+OK\r\n", false],
  ["-ERR 'Unknown Protocol Operation'\r\n", false],
  ["PUB a 0\r\n\r\n", true],
  [`PUB a ${TRAP.length}\r\n${TRAP}\r\n`, true],
  [`pub\ta.b  reply  ${TRAP.length}\r\n${TRAP}\r\n`, true],
  ["HPUB a 22 27\r\nNATS/1.0\r\nBar: PUB\r\n\r\n\r\n123\r\n", true],
  ["MSG a 1 5\r\nü€\r\n", true],
  [`MSG a 1 reply ${TRAP.length}\r\n${TRAP}\r\n`, true],
  ["HMSG _trails.inbox.x 3 16 16\r\nNATS/1.0 503\r\n\r\n\r\n", true],
  [`PUB a ${LARGEST.length}\r\n${LARGEST}\r\n`, true],
  ["PING\r\n", false]
]
const STREAM = Buffer.from(OPERATIONS.map(([text]) => text).join(""))

/** Its pieces; the size of each is drawn anew. */
const cut = function* (bytes: Buffer, size: () => number): Generator<Buffer> {
  for (let from = 0; from < bytes.length;) {
    const to = from + size()
    yield bytes.subarray(from, to)
    from = to
  }
}

const readAll = (pieces: Iterable<Buffer>): ReadonlyArray<readonly [text: string, isMessage: boolean]> => {
  const reader = new NatsReader()
  return [...pieces].flatMap((piece) =>
    reader.read(piece).map(({ bytes, isMessage }) => [bytes.toString(), isMessage] as const)
  )
}

describe("a reader of the NATS protocol", () => {
  it("finds every operation in one piece", () => {
    expect(readAll([STREAM])).toEqual(OPERATIONS)
  })

  it("finds the same ones when the largest payload comes in pieces of a socket, and the rest byte by byte", () => {
    const small = STREAM.length - LARGEST.length - 100
    const pieces = [...cut(STREAM.subarray(0, small), () => 1), ...cut(STREAM.subarray(small), () => 65_536)]
    expect(readAll(pieces)).toEqual(OPERATIONS)
  })

  it("finds the same ones wherever the stream is cut", () => {
    for (let seed = 1; seed <= 100; seed++) {
      const random = seeded(seed)
      // Some pieces of a byte or two, some of several operations.
      const pieces = cut(STREAM, () => 1 + random.int(random.next() < 0.9 ? 40 : 300_000))
      expect(readAll(pieces), `seed ${seed}`).toEqual(OPERATIONS)
    }
  })

  it.for([
    ["GET / HTTP/1.1\r\n", "not of the NATS protocol"],
    ["PUB a many\r\n", "not of the NATS protocol"],
    ["PUB a -1\r\n", "not of the NATS protocol"],
    ["PUB a 2\r\nabc\r\n", "a payload without an end"]
  ] as const)("refuses %j: from there on it would be out of step", ([text, message]) => {
    expect(() => readAll([Buffer.from(text)])).toThrow(message)
  })
})

describe("faults of messages", () => {
  let server: NatsServer
  let link: Link
  let messages: NatsFaults
  let publisher: NatsConnection
  let subscriber: NatsConnection
  let heard: ReadonlyArray<string> = []

  beforeAll(async () => {
    server = await NatsServer.start()
    messages = new NatsFaults(seeded(1).next)
    link = await Link.to(server.port, Math.random, messages.passage)
    publisher = await connect({ servers: `127.0.0.1:${link.port}`, reconnect: false })
    // Past the link: each message meets the faults once.
    subscriber = await connect({ servers: server.url, reconnect: false })
    subscriber.subscribe("a", {
      callback: (_, message) => {
        heard = [...heard, `${message.string()}${message.headers?.get("n") ?? ""}`]
      }
    })
    await subscriber.flush()
  })
  afterAll(async () => {
    await Promise.all([publisher?.close(), subscriber?.close()])
    await link?.close()
    await server?.dispose()
  })

  /** Publishes so many, half of them with headers; both connections have answered afterwards. */
  const publish = async (count: number): Promise<ReadonlyArray<string>> => {
    heard = []
    const sent = Array.from({ length: count }, (_, n) => `${TRAP}${n}`)
    for (const [n, text] of sent.entries()) {
      if (n % 2 === 0) publisher.publish("a", text)
      else {
        const numbered = headers()
        numbered.set("n", String(n))
        publisher.publish("a", text.slice(0, -String(n).length), { headers: numbered })
      }
    }
    await publisher.flush()
    await subscriber.flush()
    return sent
  }

  it("none: everything passes once and in order, the largest payload too", async () => {
    messages.faults = SOUND
    expect(await publish(100)).toEqual(heard)
    publisher.publish("a", LARGEST)
    await publisher.flush()
    await waitUntil("it is heard", () => heard.length === 101)
    expect(heard[100]).toBe(LARGEST)
    expect([messages.lost, messages.doubled, messages.overtook]).toEqual([0, 0, 0])
  })

  it("all lost: nothing is heard, and the connection answers as ever", async () => {
    messages.faults = { ...SOUND, lose: 1 }
    await publish(100)
    expect([heard, messages.lost, publisher.isClosed()]).toEqual([[], 100, false])
  })

  it("one in ten doubled: everything is heard, and as many twice as were doubled", async () => {
    messages.faults = { ...SOUND, double: 0.1 }
    const sent = await publish(1000)
    expect([...new Set(heard)]).toEqual(sent)
    expect(heard).toHaveLength(1000 + messages.doubled)
    expect(messages.doubled).toBeGreaterThan(60)
    expect(messages.doubled).toBeLessThan(140)
  })

  it("late by up to 50 ms each: everything is heard once, in another order, and behind what keeps the connection", async () => {
    messages.faults = { ...SOUND, delayMs: 50 }
    const sent = await publish(200)
    expect(heard.length).toBeLessThan(200)
    await waitUntil("all of it is heard", () => heard.length === 200)
    expect(heard).not.toEqual(sent)
    expect(heard.toSorted()).toEqual(sent.toSorted())
    expect(messages.overtook).toBeGreaterThan(100)
  })

  it("what is late when its connection ends never comes", async () => {
    messages.faults = { ...SOUND, delayMs: 30 }
    const forwarded: Array<string> = []
    const passage = messages.passage((bytes) => forwarded.push(bytes.toString()))
    passage.take(Buffer.from("PING\r\nPUB a 1\r\nx\r\nPONG\r\n"))
    passage.close()
    await sleep(60)
    expect(forwarded).toEqual(["PING\r\nPONG\r\n"])
  })
})
