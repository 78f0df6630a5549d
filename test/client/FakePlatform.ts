import type { Cryptography, Sign } from "../../src/client/Cryptography.ts"
import { nodeCryptography } from "../../src/client/NodeCryptography.ts"
import type { ExitWatcher, Platform, SocketEvents, SocketPort } from "../../src/client/Platform.ts"
import { seeded } from "../harness/Random.ts"

/** `async`: every operation takes another number of turns, so that only `InOrder` keeps the order. */
export type Mode = "sync" | "async"
export const MODES: ReadonlyArray<Mode> = ["sync", "async"]

const random = seeded(7)

const late = async <A>(value: A | Promise<A>): Promise<A> => {
  for (let turns = random.int(6); turns > 0; turns--) await Promise.resolve()
  return await value
}

const asyncCryptography: Cryptography = {
  random: nodeCryptography.random,
  publicKey: (seed) => late(nodeCryptography.publicKey(seed)),
  signer: (seed) => {
    const sign = nodeCryptography.signer(seed)
    return (message) => late(sign(message))
  },
  verifier: (key) => {
    const verify = nodeCryptography.verifier(key)
    return (message, signature) => late(verify(message, signature))
  }
}

/** A frame of the client; `header`: of a message. */
export interface Sent {
  readonly [member: string]: unknown
  readonly type: string
  readonly header: { readonly seq: number }
}

/** The client's end of a connection that goes nowhere. */
export class FakeSocket {
  readonly url: string
  readonly events: SocketEvents
  readonly sent: Array<string> = []
  /** How the client has ended it. */
  ended: "close" | "terminate" | null = null
  /** Of the `hello` that was given on it. */
  nonce = ""

  constructor(url: string, events: SocketEvents) {
    this.url = url
    this.events = events
  }

  get frames(): ReadonlyArray<Sent> {
    return this.sent.map((text) => JSON.parse(text) as Sent)
  }

  of(type: string): ReadonlyArray<Sent> {
    return this.frames.filter((frame) => frame.type === type)
  }

  get seqs(): ReadonlyArray<number> {
    return this.of("message").map((frame) => frame.header.seq)
  }

  /** The network is gone. */
  drop(): void {
    this.events.closed("the network is gone")
  }
}

interface Timer {
  readonly at: number
  readonly task: () => void
}

/** A platform without a network whose clock stands still until `advance`. */
export class FakePlatform implements Platform {
  readonly cryptography: Cryptography
  readonly sockets: Array<FakeSocket> = []
  readonly warnings: Array<string> = []
  readonly showsPings = true
  connectsBeside = true
  askAgent: Platform["askAgent"] = () => Promise.reject(new Error("there is no agent"))
  variables: Record<string, string> = {}
  /** Whoever keeps the process alive. */
  alive = 0
  watcher: ExitWatcher | null = null
  /** What `random` gives. */
  jitter = 0
  /** Milliseconds that pass with every look at the clock. */
  tick = 0
  /** What whoever has set the wall clock has added, milliseconds. */
  setBy = 0
  /** Signs in place of the true cryptography. */
  signs: Sign | null = null
  #now = 1_790_000_000_000
  readonly #timers = new Set<Timer>()
  readonly #soon: Array<() => void> = []
  readonly #ids = seeded(1)

  constructor(mode: Mode = "sync") {
    const given = mode === "sync" ? nodeCryptography : asyncCryptography
    this.cryptography = {
      ...given,
      signer: (seed) => {
        const sign = given.signer(seed)
        return (message) => (this.signs ?? sign)(message)
      }
    }
  }

  get timers(): number {
    return this.#timers.size
  }

  environment = (name: string): string | undefined => this.variables[name]
  processInfo = () => ({ pid: 1, ppid: 0, uid: 0, gid: 0, hostname: "fake", start_time: 1, executable: "/bin/fake" })
  wallClock = (): number => this.#now + this.setBy
  monotonic = (): number => (this.#now += this.tick)
  random = (): number => this.jitter
  newId = (): string => this.#ids.uuid()
  warn = (text: string): void => void this.warnings.push(text)
  watchExit = (watcher: ExitWatcher): void => void (this.watcher = watcher)
  soon = (task: () => void): void => void this.#soon.push(task)

  connect = (url: string, events: SocketEvents): SocketPort => {
    const socket = new FakeSocket(url, events)
    this.sockets.push(socket)
    return {
      send: (text) => void socket.sent.push(text),
      close: () => void (socket.ended ??= "close"),
      terminate: () => void (socket.ended ??= "terminate")
    }
  }

  later = (milliseconds: number, task: () => void): (() => void) => {
    const timer = { at: this.#now + milliseconds, task }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  keepAlive = (): (() => void) => {
    this.alive++
    let held = true
    return () => {
      if (held) this.alive--
      held = false
    }
  }

  /** One turn of the event loop: the tasks of `soon` that are there now. */
  async turn(): Promise<void> {
    for (const task of this.#soon.splice(0)) task()
    await new Promise((resolve) => setImmediate(resolve))
  }

  /** Until nothing is left to do without the clock. */
  async settle(): Promise<void> {
    do await this.turn()
    while (this.#soon.length > 0)
  }

  /** So many milliseconds later. */
  async advance(milliseconds: number): Promise<void> {
    await this.settle()
    const until = this.#now + milliseconds
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0]
      if (due === undefined) break
      this.#timers.delete(due)
      this.#now = Math.max(this.#now, due.at)
      due.task()
      await this.settle()
    }
    this.#now = Math.max(this.#now, until)
    await this.settle()
  }
}
