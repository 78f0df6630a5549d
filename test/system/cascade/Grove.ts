import { randomUUID } from "node:crypto"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { makeInit } from "../../../src/client/init.ts"
import { nodePlatform } from "../../../src/client/NodePlatform.ts"
import type { TrailsNode } from "../../../src/client/TrailsNode.ts"
import { makeEnvelope } from "../../harness/TestEnvelope.ts"
import type { Trailsd } from "../../harness/Trailsd.ts"
import { waitUntil } from "../../harness/waitUntil.ts"
import { rest } from "../../harness/Rest.ts"
import type { User, Wrapped } from "../run/Wrapped.ts"

/** Children of each node that has some; three of them make 1 + 3 + 9 + 27 processes at depth 4. */
const WIDTH = 3
/** Of the nodes that are no processes of the tree. */
const STRANGERS = 10
/** Leaves that ignore SIGTERM. */
const STUBBORN = 3
export const GRACE_S = 5

export interface TreeNode {
  readonly app_id: string
  readonly parent_id: string | null
  readonly app_name: string
  readonly status: string
  readonly depth: number
}

export interface Cascade {
  readonly id: string
  readonly state: string
  readonly total: number
  readonly levels: number
  readonly created_at: string
  readonly finished_at: string
  readonly counts: Readonly<Record<string, number>>
}

interface Event {
  readonly data: {
    readonly app_id: string
    readonly kind: string
    readonly facts: Readonly<Record<string, unknown>> | null
  }
}

export interface GroveOptions {
  readonly depth: number
  readonly strangers: number
  readonly stubborn: number
}

export const WHOLE: GroveOptions = { depth: 3, strangers: STRANGERS, stubborn: STUBBORN }
export const SMALL: GroveOptions = { depth: 2, strangers: 4, stubborn: 1 }

/**
 * Processes of nested `trails run`s, and nodes of this process below some of them, each on a socket of its own: whoever
 * merely kills the outermost process does not reach these.
 */
export class Grove {
  readonly #server: Trailsd
  readonly #user: User
  readonly options: GroveOptions
  readonly #script: string
  readonly #name = `grove-${randomUUID()}`
  readonly strangers: Array<TrailsNode> = []
  /** Cancels that strangers have been asked to obey. */
  readonly obeyed: Array<string> = []
  #run: Wrapped | null = null
  #rootId = ""

  constructor(server: Trailsd, user: User, options: GroveOptions = WHOLE) {
    this.#server = server
    this.#user = user
    this.options = options
    this.#script = join(user.folder, `${this.#name}.sh`)
    // The path is in the command line of every process of it, and of no other.
    writeFileSync(
      this.#script,
      `depth=$1; place=$2; stubborn=$3
if [ "$depth" -gt 0 ]; then
  for child in 0 1 2; do
    trails run --name "n$depth-$place$child" --grace ${GRACE_S} -- sh "$0" $((depth - 1)) "$place$child" "$stubborn" &
  done
else
  case " $stubborn " in *" $place "*) trap '' TERM;; esac
fi
while :; do sleep 0.2; done
`
    )
  }

  get rootId(): string {
    return this.#rootId
  }

  get processes(): number {
    let [count, level] = [1, 1]
    for (let i = 0; i < this.options.depth; i++) count += level *= WIDTH
    return count
  }

  get size(): number {
    return this.processes + this.options.strangers
  }

  /** Everything runs. */
  async grow(): Promise<void> {
    const stubborn = Array.from({ length: this.options.stubborn }, (_, i) => `r${String(i).repeat(this.options.depth)}`)
    this.#run = this.#user.run(
      this.#name,
      `exec sh '${this.#script}' ${this.options.depth} r '${stubborn.join(" ")}'`,
      "--grace",
      String(GRACE_S)
    )
    const nodes = await this.#until("the processes run", this.processes, 90_000)
    this.#rootId = nodes.find(({ depth }) => depth === 0)!.app_id
    const parents = nodes.filter(({ depth }) => depth > 0 && depth < this.options.depth)
    for (let i = 0; i < this.options.strangers; i++) {
      const { info } = makeEnvelope(
        { serverEp: this.#server.url, parentId: parents[i % parents.length]!.app_id, appName: `stranger${i}` },
        null
      )
      const node = await makeInit(nodePlatform)({ info, exitHook: false })
      node.onCancel(({ reason }) => void this.obeyed.push(reason))
      await node.ready({ timeoutMs: 30_000 })
      node.status("up")
      this.strangers.push(node)
    }
    await this.#until("all of it runs", this.size, 30_000)
  }

  async tree(): Promise<ReadonlyArray<TreeNode>> {
    if (this.#rootId === "") {
      const { body } = await rest(this.#server.http, `apps?roots=true&name=${this.#name}`)
      const [root] = (body as { readonly items: ReadonlyArray<TreeNode> }).items
      if (root === undefined) return []
      this.#rootId = root.app_id
    }
    const { body } = await rest(this.#server.http, `apps/${this.#rootId}/tree`)
    return (body as { readonly items: ReadonlyArray<TreeNode> }).items
  }

  async #until(what: string, count: number, withinMs: number): Promise<ReadonlyArray<TreeNode>> {
    return await waitUntil(
      `${what}: ${count}`,
      async () => {
        const nodes = await this.tree()
        return nodes.length === count && nodes.every(({ status }) => status === "running") ? nodes : null
      },
      { withinMs, everyMs: 100 }
    )
  }

  /** Pids of the processes of it that are alive: a zombie has no command line. */
  pids(): ReadonlyArray<number> {
    return readdirSync("/proc").flatMap((name) => {
      if (!/^\d+$/.test(name)) return []
      try {
        return readFileSync(`/proc/${name}/cmdline`, "utf8").includes(this.#script) ? [Number(name)] : []
      } catch {
        return []
      }
    })
  }

  async cascade(id: string, timeout = 0): Promise<Cascade> {
    const { body } = await rest(this.#server.http, `cascades/${id}?timeout=${timeout}`, {
      signal: AbortSignal.timeout((timeout + 15) * 1000)
    })
    return body as Cascade
  }

  /** Everything that happened in it, in the order of commits. */
  async events(): Promise<ReadonlyArray<Event>> {
    const events: Array<Event> = []
    for (let after: string | null = "0"; ;) {
      const { body } = await rest(this.#server.http, `events?app=${this.#rootId}&after=${after}&limit=500`)
      const { items, next } = body as { readonly items: ReadonlyArray<Event>; readonly next: string }
      if (items.length === 0) return events
      events.push(...items)
      after = next
    }
  }

  /** Parents that were asked before all their children had ended; a node that was never asked counts as asked at its end. */
  async disorder(): Promise<ReadonlyArray<string>> {
    const [nodes, events] = [await this.tree(), await this.events()]
    const asked = new Map<string, number>()
    const ended = new Map<string, number>()
    events.forEach(({ data: { app_id, facts, kind } }, at) => {
      if (kind === "control" && facts?.["action"] === "cancel" && facts["state"] === "delivered" && !asked.has(app_id))
        asked.set(app_id, at)
      if (kind === "cancelled" && !ended.has(app_id)) ended.set(app_id, at)
    })
    return nodes.flatMap(({ app_id, parent_id, app_name }) => {
      const end = ended.get(app_id)
      if (end === undefined) return [`${app_name} was not cancelled`]
      const parent = parent_id === null ? undefined : (asked.get(parent_id) ?? ended.get(parent_id))
      return parent !== undefined && parent < end ? [`the parent of ${app_name} was asked before it had ended`] : []
    })
  }

  async dispose(): Promise<void> {
    for (const node of this.strangers) await node.shutdown({ timeoutMs: 1 })
    for (const pid of this.pids()) {
      try {
        process.kill(pid, "SIGKILL")
      } catch {
        // It has ended meanwhile.
      }
    }
    await this.#run?.ended
  }
}
