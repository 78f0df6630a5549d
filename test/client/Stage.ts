import { randomBytes, randomUUID } from "node:crypto"
import { makeInit } from "../../src/client/init.ts"
import type { InitOptions, TrailsNode } from "../../src/client/TrailsNode.ts"
import type { ErrorFrame, Level, RegisteredFrame, ServerFrame } from "../../src/protocol/Frames.ts"
import { encodeFrame } from "../../src/protocol/FrameEncoder.ts"
import { type Keypair, makeKeypair, seal, unsealed } from "../harness/Keypair.ts"
import { type EnvelopeFields, makeEnvelope, type TestEnvelope } from "../harness/TestEnvelope.ts"
import { FakePlatform, type FakeSocket, type Mode, type Sent } from "./FakePlatform.ts"

export const URL = "ws://127.0.0.1:1/ws"
export const LIMITS = { max_frame: 1_048_576, max_in_flight: 1024, max_in_flight_bytes: 8_388_608 }

export type Refusal = Partial<ErrorFrame> & Pick<ErrorFrame, "code">

const keyOf = (asked: Sent | undefined): string => (asked?.["child_pub_key"] ?? asked?.["pub_key"]) as string

/** One process' clients and the server that they talk to, whose every word the test says. */
export class Stage {
  readonly platform: FakePlatform
  readonly level: Level
  readonly keys: Keypair = makeKeypair()
  readonly init: (options?: InitOptions) => Promise<TrailsNode>
  session: RegisteredFrame | null = null
  #epoch = 0

  constructor(mode: Mode = "sync", level: Level = "signed") {
    this.platform = new FakePlatform(mode)
    this.level = level
    this.init = makeInit(this.platform)
  }

  envelope(fields: Partial<EnvelopeFields> = {}): TestEnvelope {
    const base = { serverEp: URL, serverPubKey: this.keys.text, secLevel: this.level, scheduledAt: 1_790_000_000_000 }
    return makeEnvelope({ ...base, ...fields }, this.level === "open" ? null : this.keys)
  }

  /** The newest socket. */
  get socket(): FakeSocket {
    const socket = this.platform.sockets.at(-1)
    if (socket === undefined) throw new Error("no socket was opened")
    return socket
  }

  get connects(): number {
    return this.platform.sockets.length
  }

  async say(frame: ServerFrame, socket = this.socket): Promise<void> {
    const message = encodeFrame(frame)
    socket.events.message(
      this.level === "open" ? unsealed(message) : seal("trails.v1.server", message, this.keys.secretKey)
    )
    await this.platform.settle()
  }

  /** `pingMs`: what newer servers say of their pings before anybody has registered. */
  async hello(socket = this.socket, pingMs?: number): Promise<void> {
    socket.nonce = randomBytes(32).toString("base64")
    await this.say(
      {
        type: "hello",
        nonce: socket.nonce,
        server_pub_key: this.keys.text,
        server_time: this.platform.wallClock(),
        level: "open",
        ...(pingMs === undefined ? {} : { ping_interval_ms: pingMs })
      },
      socket
    )
  }

  /** The last registration of a node that the socket has brought. */
  asked(appId: string, socket = this.socket) {
    return socket.frames.findLast(
      ({ app_id, type }) => app_id === appId && (type === "register" || type === "re_register")
    )
  }

  async admit(appId: string, changes: Partial<RegisteredFrame> = {}, socket = this.socket): Promise<RegisteredFrame> {
    const asked = this.asked(appId, socket)
    if (asked === undefined) throw new Error("it has not asked to be registered")
    const frame: RegisteredFrame = {
      type: "registered",
      app_id: appId,
      parent_id: null,
      child_pub_key: keyOf(asked),
      server_pub_key: this.keys.text,
      nonce: socket.nonce,
      client_nonce: asked["client_nonce"] as string,
      incarnation: (asked["incarnation"] as number | undefined) ?? 1,
      epoch: ++this.#epoch,
      session: randomUUID(),
      last_seq: (asked["last_seq"] as number | undefined) ?? 0,
      limits: LIMITS,
      ping_interval_ms: 30_000,
      ...changes
    }
    this.session = frame
    await this.say(frame, socket)
    return frame
  }

  async ack(appId: string, seq: number, incarnation = 1): Promise<void> {
    await this.say({ type: "ack", app_id: appId, incarnation, seq })
  }

  /** An error about the registration under way, or about the session when there is one. */
  async refuse(appId: string, refusal: Refusal, bound = true): Promise<void> {
    const asked = this.asked(appId)
    const isAsking = this.session === null || this.session.client_nonce !== asked?.["client_nonce"]
    const binding = isAsking
      ? { client_nonce: asked?.["client_nonce"] as string, pub_key: keyOf(asked) }
      : { session: this.session!.session }
    await this.say({
      type: "error",
      message: "as the test wants it",
      app_id: appId,
      retryable: refusal.retry_after_ms !== undefined,
      ...(bound ? binding : {}),
      ...refusal
    })
  }

  /** A node that waits for `hello`. */
  async node(options: InitOptions = {}, fields: Partial<EnvelopeFields> = {}) {
    const { appId, info } = this.envelope(fields)
    const node = await this.init({ info, ...options })
    await this.platform.settle()
    return { appId, node }
  }

  async attached(options: InitOptions = {}, changes: Partial<RegisteredFrame> = {}) {
    const made = await this.node(options)
    await this.hello()
    await this.admit(made.appId, changes)
    return made
  }

  /** Waits for what the client does by itself; how long that took, milliseconds. */
  async until(isDone: () => boolean): Promise<number> {
    const from = this.platform.wallClock()
    while (!isDone()) {
      if (this.platform.wallClock() - from > 100_000) throw new Error("it has not happened")
      await this.platform.advance(50)
    }
    return this.platform.wallClock() - from
  }

  /** After a loss: the next socket, greeted. */
  async again(lost = this.socket): Promise<void> {
    await this.until(() => this.socket !== lost)
    await this.hello()
  }

  async back(appId: string, changes: Partial<RegisteredFrame> = {}): Promise<RegisteredFrame> {
    await this.again()
    return await this.admit(appId, changes)
  }
}
