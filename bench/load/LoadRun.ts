import { type ChildProcess, fork } from "node:child_process"
import { randomUUID } from "node:crypto"
import { join } from "node:path"
import { AdminKeyFile } from "./AdminKeyFile.ts"
import { EXIT, LoadError } from "./LoadError.ts"
import type { LoadFlags } from "./LoadFlags.ts"
import type { NodeBirth } from "./LoadNode.ts"
import type { Command, LoadPlan, News } from "./LoadPlan.ts"
import { reachServer } from "./reachServer.ts"
import { askForRoots } from "./RootTickets.ts"
import type { Counts, Report } from "./Tally.ts"

/** While nodes attach: without a new one for so long the run is given up. */
const ATTACH_PATIENCE_MS = 60_000
const PROGRESS_MS = 1000

/** A forked process and what it has told. */
interface Crew {
  readonly process: ChildProcess
  readonly nodes: number
  counts: Counts
  trouble: string | null
  isAttached: boolean
  report: Report | null
}

const NOTHING: Counts = { attached: 0, sent: 0, acked: 0, refused: 0, violations: 0, reconnects: 0 }

const sum = (crews: ReadonlyArray<Crew>, pick: (counts: Counts) => number): number =>
  crews.reduce((total, { counts }) => total + pick(counts), 0)

/** JSON text of `bytes` bytes. */
const payloadOf = (bytes: number): string => {
  const empty = JSON.stringify({ pad: "" })
  return JSON.stringify({ pad: "x".repeat(bytes - empty.length) })
}

/** Share `i` of `count` of `total`, in whole numbers that add up. */
const shareOf = (total: number, count: number, i: number): number =>
  Math.floor(total / count) + (i < total % count ? 1 : 0)

/** A whole run: processes, phases, progress; the nodes themselves live in `LoadProcess`. */
export class LoadRun {
  readonly #flags: LoadFlags
  readonly #say: (line: string) => void
  #crews: ReadonlyArray<Crew> = []
  readonly #abort = new AbortController()

  /** `say` gets lines of progress for people. */
  constructor(flags: LoadFlags, say: (line: string) => void) {
    this.#flags = flags
    this.#say = say
  }

  get isInterrupted(): boolean {
    return this.#abort.signal.aborted
  }

  /** The first call ends the sending, the second one the drain. The report is of what there is by then. */
  interrupt(): void {
    this.#tell({ do: this.#abort.signal.aborted ? "finish" : "stop" })
    this.#abort.abort()
  }

  /** Reports of all processes. Fails with a `LoadError`. */
  async run(): Promise<ReadonlyArray<Report>> {
    await reachServer(this.#flags)
    const plans = await this.#plans()
    if (this.isInterrupted) return []
    try {
      return await this.#conduct(plans)
    } finally {
      // They end by themselves; after a failure they have no reason to go on.
      for (const { process } of this.#crews) if (process.exitCode === null) process.kill("SIGKILL")
    }
  }

  async #plans(): Promise<ReadonlyArray<LoadPlan>> {
    const { end, level, nodes, nodesPerSocket, processes, rate, urls, width } = this.#flags
    const names = Array.from({ length: nodes }, (_, i) => `load-${i + 1}`)
    const key = level === "open" ? null : AdminKeyFile.open(this.#flags.adminKeyFile, urls)
    const tickets =
      key === null ? null : await askForRoots(urls, key, names, this.#abort.signal, this.#tellTickets(nodes))
    const births = names.map((appName, i): NodeBirth => {
      const quota = "messages" in end ? shareOf(end.messages, nodes, i) : null
      return { appId: tickets?.[i]?.appId ?? randomUUID(), appName, info: tickets?.[i]?.info ?? null, quota }
    })
    const sockets = Math.ceil(nodes / nodesPerSocket)
    let taken = 0
    return Array.from({ length: processes }, (_, i) => {
      const firstUrl = taken % urls.length
      const mine = births.slice(taken * nodesPerSocket, (taken + shareOf(sockets, processes, i)) * nodesPerSocket)
      taken += shareOf(sockets, processes, i)
      return {
        urls: urls.map(({ href }) => href),
        firstUrl,
        level,
        legacy: this.#flags.legacy,
        window: this.#flags.window,
        nodesPerSocket,
        width: Math.max(1, Math.floor(width / processes)),
        rate: rate === null ? null : (rate * mine.length) / nodes,
        serverKey: tickets?.[0]?.serverPubKey ?? null,
        payload: payloadOf(this.#flags.payload),
        seconds: "seconds" in end ? end.seconds : null,
        births: mine
      }
    })
  }

  async #conduct(plans: ReadonlyArray<LoadPlan>): Promise<ReadonlyArray<Report>> {
    let wake = () => {}
    let failure: LoadError | null = null
    this.#crews = plans.map((plan) => {
      const crew = this.#fork(plan)
      crew.process.on("message", () => wake())
      crew.process.once("exit", (code, signal) => {
        if (crew.report === null)
          failure = new LoadError(
            EXIT.internal,
            `A process with ${crew.nodes} nodes ended by ${signal ?? `code ${code}`}.`
          )
        wake()
      })
      return crew
    })
    if (this.isInterrupted) this.#tell({ do: "stop" })
    const progress = this.#showProgress()
    const until = async (predicate: () => boolean) => {
      while (!predicate()) {
        if (failure !== null) throw failure
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    }
    try {
      let newest = -1
      let newestAt = performance.now()
      await until(() => {
        const attached = sum(this.#crews, (counts) => counts.attached + counts.refused)
        if (attached > newest) [newest, newestAt] = [attached, performance.now()]
        if (performance.now() - newestAt > ATTACH_PATIENCE_MS) throw this.#notAttached(newest)
        return this.#crews.every(({ isAttached }) => isAttached)
      })
      this.#tell({ do: "go" })
      await until(() => this.#crews.every(({ report }) => report !== null))
    } finally {
      clearInterval(progress)
    }
    return this.#crews.flatMap(({ report }) => (report === null ? [] : [report]))
  }

  #fork(plan: LoadPlan): Crew {
    const child = fork(join(import.meta.dirname, "LoadProcess.ts"), { stdio: ["ignore", 2, 2, "ipc"] })
    const crew: Crew = {
      process: child,
      nodes: plan.births.length,
      counts: NOTHING,
      trouble: null,
      isAttached: false,
      report: null
    }
    child.on("message", (news: News) => {
      if (news.is === "ready") child.send({ do: "start", plan } satisfies Command)
      else if (news.is === "attached") crew.isAttached = true
      else if (news.is === "counts") [crew.counts, crew.trouble] = [news.counts, news.trouble]
      else crew.report = news.report
    })
    return crew
  }

  #tell(command: Command): void {
    for (const { process } of this.#crews) if (process.connected) process.send(command)
  }

  /** What some process met with last. */
  get #trouble(): string | null {
    return this.#crews.find(({ trouble }) => trouble !== null)?.trouble ?? null
  }

  #notAttached(attached: number): LoadError {
    const trouble = this.#trouble ?? "the server does not answer"
    return new LoadError(
      EXIT.unavailable,
      `${attached} of ${this.#flags.nodes} nodes were attached, and no more for ${ATTACH_PATIENCE_MS / 1000} s: ${trouble}`
    )
  }

  #tellTickets(nodes: number): (done: number) => void {
    let saidAt = performance.now()
    return (done) => {
      if (performance.now() - saidAt < PROGRESS_MS) return
      saidAt = performance.now()
      this.#say(`tickets: ${done} of ${nodes}`)
    }
  }

  #showProgress(): NodeJS.Timeout {
    let before = 0
    return setInterval(() => {
      const acked = sum(this.#crews, (counts) => counts.acked)
      const sent = sum(this.#crews, (counts) => counts.sent)
      const attached = sum(this.#crews, (counts) => counts.attached)
      const reconnects = sum(this.#crews, (counts) => counts.reconnects)
      const trouble = acked === before ? this.#trouble : null
      this.#say(
        [
          sent === 0
            ? `attached: ${attached} of ${this.#flags.nodes}`
            : `${acked - before} acked/s, ${acked} acked, ${sent - acked} under way`,
          ...(reconnects === 0 ? [] : [`${reconnects} reconnects`]),
          ...(trouble === null ? [] : [trouble])
        ].join(", ")
      )
      before = acked
    }, PROGRESS_MS)
  }
}
