import { type ChildProcess, fork } from "node:child_process"
import { join } from "node:path"
import { post, rest } from "../../harness/Rest.ts"
import type { Trailsd } from "../../harness/Trailsd.ts"
import type { TreeCount, TreeOrder } from "./crowdClients.ts"
import type { Cascade } from "./Grove.ts"
import type { TreePlan } from "./TreePlan.ts"

/** An answer that does not come within this much is asked for again, beyond the time that the question itself names. */
const PATIENCE_MS = 40_000
/** Seconds that one question waits for the end of an operation. */
const POLL_S = 20

interface Event {
  readonly data: { readonly app_id: string; readonly kind: string; readonly facts: Record<string, unknown> | null }
}

/** A tree of very many nodes, SDK nodes of one process on shared sockets; the server under it may die and come back. */
export class Crowd {
  readonly #server: Trailsd
  readonly #plan: TreePlan
  readonly #clients: ChildProcess

  constructor(server: Trailsd, plan: TreePlan) {
    this.#server = server
    this.#plan = plan
    this.#clients = fork(join(import.meta.dirname, "crowdClients.ts"), {
      stdio: ["ignore", "inherit", "inherit", "ipc"]
    })
  }

  get size(): number {
    return this.#plan.flat().length
  }

  get hung(): number {
    return this.#plan.flat().filter(({ isHung }) => isHung).length
  }

  /** Everything is attached. */
  async grow(graceMs: number): Promise<void> {
    for (const members of this.#plan) await this.#ask({ do: "grow", url: this.#server.url, members, graceMs })
    const { attached } = await this.count()
    if (attached !== this.size) throw new Error(`only ${attached} nodes are attached`)
  }

  async count(): Promise<TreeCount> {
    return await this.#ask({ do: "count" })
  }

  /** Begins the cancel of all of it. */
  async cancel(graceMs: number): Promise<Cascade> {
    const { body } = await post(this.#server.http, `apps/${this.#plan[0]![0]!.appId}/cancel?cascade=true`, { graceMs })
    return body as Cascade
  }

  /** The operation when it is through, or as it stands after `withinMs`. */
  async through(begun: Cascade, withinMs: number): Promise<Cascade> {
    const until = performance.now() + withinMs
    let cascade = begun
    while (cascade.state !== "done" && performance.now() < until) {
      const answer = await rest(this.#server.http, `cascades/${begun.id}?timeout=${POLL_S}`, {
        signal: AbortSignal.timeout(POLL_S * 1000 + PATIENCE_MS)
      }).catch(() => null)
      if (answer?.status === 200) cascade = answer.body as Cascade
    }
    return cascade
  }

  /** How many parents were asked before all their children had ended, and how many nodes never ended, by the log. */
  async disorder(): Promise<{ readonly early: number; readonly unended: number }> {
    const asked = new Map<string, number>()
    const ended = new Map<string, number>()
    let at = 0
    for (let after = "0"; ;) {
      const { body } = await rest(this.#server.http, `events?kind=control,cancelled&after=${after}&limit=500`)
      const { items, next } = body as { readonly items: ReadonlyArray<Event>; readonly next: string }
      if (items.length === 0) break
      for (const { data } of items) {
        at++
        if (data.kind === "cancelled") ended.set(data.app_id, ended.get(data.app_id) ?? at)
        else if (data.facts?.["state"] === "delivered") asked.set(data.app_id, asked.get(data.app_id) ?? at)
      }
      after = next
    }
    const nodes = this.#plan.flat()
    const early = nodes.filter(
      ({ appId, parentId }) =>
        parentId !== null &&
        (asked.get(parentId) ?? ended.get(parentId) ?? Number.POSITIVE_INFINITY) < (ended.get(appId) ?? 0)
    )
    return { early: early.length, unended: nodes.filter(({ appId }) => !ended.has(appId)).length }
  }

  dispose(): void {
    this.#clients.kill("SIGKILL")
  }

  async #ask(order: TreeOrder): Promise<TreeCount> {
    return await new Promise((resolve, reject) => {
      const died = (): void => reject(new Error("the clients have died"))
      this.#clients.once("exit", died)
      this.#clients.once("message", (count: TreeCount) => {
        this.#clients.off("exit", died)
        resolve(count)
      })
      this.#clients.send(order)
    })
  }
}
