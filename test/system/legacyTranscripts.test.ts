import { randomUUID } from "node:crypto"
import { once } from "node:events"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { WebSocket } from "ws"
import type { Step, TranscriptFile } from "../conformance/LegacyTranscripts.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { queryPostgres } from "../harness/StoredState.ts"
import { attach, rootOf } from "../harness/TestNode.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"

const FOLDER = join(import.meta.dirname, "../conformance/vectors/legacy")
const files = readdirSync(FOLDER)
  .filter((name) => name.endsWith(".json"))
  .map((name) => JSON.parse(readFileSync(join(FOLDER, name), "utf8")) as TranscriptFile)

let open: Trailsd
let signed: Trailsd
const database = await freshDatabase()
const signedDatabase = await freshDatabase()

beforeAll(async () => {
  open = await Trailsd.start({ databaseUrl: database.url })
  signed = await Trailsd.start({ databaseUrl: signedDatabase.url, env: { TRAILS_MIN_LEVEL: "signed" } })
})

afterAll(async () => {
  await open.dispose()
  await signed.dispose()
  await database.drop()
  await signedDatabase.drop()
})

/** Plays one side of a transcript: nothing but a socket and text. */
class Player {
  readonly app = randomUUID()
  readonly received: Array<string> = []
  readonly #url: string
  #socket: WebSocket | null = null
  closed = false

  constructor(url: string) {
    this.#url = url
  }

  async connect(): Promise<void> {
    const socket = new WebSocket(this.#url, { perMessageDeflate: false })
    this.#socket = socket
    this.closed = false
    socket.on("message", (data: Buffer) => this.received.push(data.toString()))
    socket.on("close", () => {
      this.closed = true
    })
    await once(socket, "open")
  }

  send(text: string): void {
    this.#socket!.send(text.replaceAll("{{app}}", this.app))
  }

  next(what: string): Promise<string> {
    return waitUntil(what, () => this.received.shift())
  }

  async close(code: number | null): Promise<void> {
    const gone = once(this.#socket!, "close")
    if (code === null) this.#socket!.close()
    else this.#socket!.close(code)
    await gone
  }

  drop(): void {
    this.#socket!.terminate()
  }
}

const STATE = "SELECT status FROM node_status WHERE app_id = $1"
const CRASH = "SELECT crash_type FROM crashes WHERE app_id = $1"

const play = async (player: Player, step: Step): Promise<void> => {
  if ("connect" in step) await player.connect()
  else if ("send" in step) player.send(step.send)
  else if ("expect" in step) {
    const text = await player.next(JSON.stringify(step.expect))
    const frame = JSON.parse(text) as Record<string, unknown>
    for (const [member, value] of Object.entries(step.expect)) {
      if (value === "{{any}}") expect(frame).toHaveProperty(member)
      else expect(frame[member]).toEqual(value === "{{app}}" ? player.app : value)
    }
    for (const absent of step.absent ?? []) expect(text).not.toContain(absent)
  } else if ("close" in step) await player.close(step.close.code)
  else if ("drop" in step) player.drop()
  else {
    await waitUntil(
      `the node is ${step.state}`,
      async () => (await queryPostgres(database.url, STATE, [player.app]))[0]?.status === step.state
    )
    if (step.crash_type !== undefined) {
      const [crash] = await queryPostgres(database.url, CRASH, [player.app])
      expect(crash?.crash_type).toBe(step.crash_type)
    }
  }
}

describe("legacy transcripts, played against `open`", () => {
  it("there is one for each of the seven things that a legacy client does", () => {
    expect(files.map((file) => file.name).sort()).toEqual([
      "disconnect",
      "drop",
      "error",
      "re-register",
      "register",
      "result",
      "status"
    ])
  })
  for (const file of files) {
    for (const { client, steps } of file.transcripts) {
      it(`${file.name}, ${client} client: ${file.about}`, async () => {
        const player = new Player(open.url)
        for (const step of steps) await play(player, step)
        expect(player.received).toEqual([])
        player.drop()
      })
    }
  }
})

describe("legacy transcripts, played against `signed`", () => {
  for (const file of files) {
    for (const { client, steps } of file.transcripts) {
      it(`${file.name}, ${client} client: refused by a frame that says why`, async () => {
        const player = new Player(signed.url)
        for (const step of steps) {
          if ("connect" in step) await player.connect()
          else if ("send" in step && !player.closed) player.send(step.send)
          else break
        }
        const answer = JSON.parse(await player.next("a refusal")) as Record<string, unknown>
        expect(answer).toMatchObject({ type: "error", code: "level_too_weak", retryable: false })
        expect(answer.message).toMatch(/signed/)
        const rows = await queryPostgres(signedDatabase.url, STATE, [player.app])
        expect(rows).toEqual([])
        player.drop()
      })
    }
  }
})

it("no legacy frame touches a node of a higher level", async () => {
  const node = rootOf(open, { level: "signed" })
  await attach(open, node)
  node.status({ mine: true })
  await waitUntil("the Status is acked", () => node.inFlight === 0)
  const snapshot = () => queryPostgres(database.url, "SELECT * FROM node_status WHERE app_id = $1", [node.appId])
  const before = await snapshot()
  const info = {
    pid: 1,
    ppid: 0,
    uid: 0,
    gid: 0,
    hostname: "h",
    node_name: null,
    pod_ip: null,
    namespace: null,
    start_time: 1,
    executable: null
  }
  const header = { msg_type: "Result", timestamp: 1, seq: 2, correlation_id: null }
  const frames = [
    {
      type: "register",
      app_id: node.appId,
      parent_id: null,
      app_name: "x",
      child_pub_key: node.keys.text,
      process_info: info,
      role_refs: [],
      sig: null
    },
    { type: "re_register", app_id: node.appId, last_seq: 1, pub_key: node.keys.text, sig: null },
    { type: "message", app_id: node.appId, header, payload: "stolen", sig: null },
    { type: "disconnect", app_id: node.appId, reason: "completed" }
  ]
  for (const frame of frames) {
    const player = new Player(open.url)
    await player.connect()
    player.send(JSON.stringify(frame))
    const answer = JSON.parse(await player.next(`a refusal of ${frame.type}`)) as Record<string, unknown>
    expect(answer).toMatchObject({ type: "error", retryable: false })
    expect(["level_too_weak", "not_registered"]).toContain(answer.code)
    player.drop()
  }
  expect(await snapshot()).toEqual(before)
  const seq = node.status({ still: "mine" })
  await waitUntil("the node goes on", () => node.isAcked(seq))
})
