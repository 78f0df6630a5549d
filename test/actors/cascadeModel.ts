import { randomUUID } from "node:crypto"
import { Effect } from "effect"
import type { ControlFrame, NodeState } from "../../src/protocol/Frames.ts"
import { CascadeStore, type CascadeOutcome, type NewCascade } from "../../src/storage/CascadeStore.ts"
import { Database } from "../../src/storage/Database.ts"
import type { Random } from "../harness/Random.ts"
import { childInfo, Harness } from "./ActorHarness.ts"
import type { FakeSession } from "./FakeSession.ts"

/** How a node stands before the cascade. */
const BEGINNINGS = [
  "alive",
  "alive",
  "alive",
  "alive",
  "scheduled",
  "done",
  "error",
  "reconnecting",
  "crashed"
] as const
/** What a living one does when it is told to stop. */
const MANNERS = ["obey", "obey", "obey", "result", "kill", "refuse", "hang", "finish"] as const
/** What one that is away does while it is waited for. */
const RETURNS = ["never", "never", "back", "anew"] as const

interface Modelled {
  readonly appId: string
  readonly parent: Modelled | null
  readonly depth: number
  readonly tag: "a" | "b"
  readonly beginning: (typeof BEGINNINGS)[number]
  readonly manner: (typeof MANNERS)[number]
  readonly returns: (typeof RETURNS)[number]
  session: FakeSession | null
  outcome: CascadeOutcome | null
  status: NodeState
  asked: boolean
}

const isFinal = ({ beginning }: Modelled): boolean => beginning === "done" || beginning === "error"
const isAway = ({ beginning }: Modelled): boolean => beginning === "reconnecting" || beginning === "crashed"

const outcomeOfManner: Readonly<Record<(typeof MANNERS)[number], readonly [CascadeOutcome, NodeState]>> = {
  obey: ["acked", "cancelled"],
  result: ["acked", "cancelled"],
  kill: ["forced", "cancelled"],
  refuse: ["forced", "cancelled"],
  hang: ["forced", "cancelled"],
  finish: ["already_terminal", "done"]
}

/** What a cancel makes of a node that it is about. */
const expectedOf = (node: Modelled): readonly [CascadeOutcome, NodeState] => {
  if (isFinal(node)) return ["already_terminal", node.beginning as NodeState]
  if (node.beginning === "scheduled") return ["acked", "cancelled"]
  if (isAway(node) && node.returns === "never") return ["unreachable", "cancelled"]
  return outcomeOfManner[node.manner]
}

const statusAtFirst: Readonly<Record<(typeof BEGINNINGS)[number], NodeState>> = {
  alive: "connected",
  scheduled: "scheduled",
  done: "done",
  error: "error",
  reconnecting: "reconnecting",
  crashed: "crashed"
}

/** One random tree and a cascade on it, beside what the few rules above say should become of it. */
export const runModel = Effect.fnUntraced(function* (random: Random) {
  const harness = yield* Harness
  const cascades = yield* CascadeStore
  const database = yield* Database
  const nodes: Array<Modelled> = []
  const problems: Array<string> = []
  const { int, pick } = random

  const infoOf = (node: Modelled) =>
    childInfo(node.appId, node.parent?.appId ?? null, null, { secLevel: "open", tags: { t: node.tag } })

  const plant = Effect.fnUntraced(function* (parent: Modelled | null) {
    const node: Modelled = {
      appId: randomUUID(),
      parent,
      depth: parent === null ? 0 : parent.depth + 1,
      tag: pick(["a", "b"]),
      beginning: parent === null ? pick(["alive", "alive", "done", "crashed"]) : pick(BEGINNINGS),
      manner: pick(MANNERS),
      returns: pick(RETURNS),
      session: null,
      outcome: null,
      status: "connected",
      asked: false
    }
    node.status = statusAtFirst[node.beginning]
    nodes.push(node)
    const { appId } = node
    if (node.beginning === "scheduled") {
      yield* harness.declare(infoOf(node), null)
      return
    }
    const { session } = yield* harness.register({ appId, parentId: parent?.appId ?? null, info: infoOf(node) })
    node.session = session
    if (isFinal(node)) yield* harness.say(session, appId, 1, node.beginning === "done" ? "Result" : "Error")
    if (isAway(node)) {
      yield* harness.lose(session, appId, "peer")
      node.session = null
      if (node.beginning === "crashed") yield* harness.hint(appId, "Deadline")
    }
  })

  yield* plant(null)
  for (let i = int(10); i > 0; i--) yield* plant(pick(nodes))

  const target = pick(nodes)
  const isWhole = int(4) > 0
  const filter = isWhole && int(3) === 0 ? ({ t: pick(["a", "b"]) } as const) : null
  const isBelow = (node: Modelled | null): boolean => node === target || (node !== null && isBelow(node.parent))
  const planned = nodes.filter(
    (node) => (isWhole ? isBelow(node) : node === target) && (filter === null || node.tag === filter.t)
  )
  const cascade: NewCascade = {
    id: randomUUID(),
    appId: target.appId,
    action: "cancel",
    payload: "null",
    scope: isWhole ? "tree" : "node",
    origin: null,
    reason: "model",
    graceMs: 600_000,
    deadlineMs: null,
    filter,
    issuedBy: "admin",
    idempotencyKey: null,
    traceparent: null
  }
  yield* cascades.begin(cascade)
  const { id } = cascade

  const cancelOf = (session: FakeSession): ControlFrame | undefined =>
    session.sent.findLast((frame): frame is ControlFrame => frame.type === "control" && frame.action === "cancel")

  /** A living node does what it does when it is told. */
  const react = Effect.fnUntraced(function* (node: Modelled, session: FakeSession) {
    const cancel = cancelOf(session)
    if (cancel === undefined) {
      problems.push(`${node.beginning}/${node.returns} was not told`)
      return
    }
    const { appId } = node
    if (node.manner === "result") yield* harness.say(session, appId, 1, "Result", '"half"', cancel.correlation_id)
    if (node.manner === "finish") yield* harness.say(session, appId, 1, "Result", '"all"')
    if (node.manner === "hang" || node.manner === "finish") return
    const result = node.manner === "kill" ? '{"forced":true}' : "null"
    yield* harness.answer(session, appId, cancel.correlation_id, node.manner !== "refuse", result)
  })

  const onAsked = Effect.fnUntraced(function* (node: Modelled) {
    node.asked = true
    yield* harness.hint(node.appId, "Commanded")
    if (node.session !== null) return yield* react(node, node.session)
    if (node.returns === "never") return
    const { session } =
      node.returns === "back"
        ? yield* harness.reRegister({ appId: node.appId })
        : yield* harness.register({ appId: node.appId, parentId: node.parent?.appId ?? null, info: infoOf(node) })
    node.session = session
    yield* react(node, session)
  })

  /** Nothing is born where all of it is being cancelled; elsewhere it is, and nobody tells it to stop. */
  const bear = Effect.fnUntraced(function* () {
    const parent = pick(nodes)
    const isSealed = isWhole && filter === null && isBelow(parent)
    const born = { ...parent, appId: randomUUID(), parent } satisfies Modelled
    if (int(2) === 0) {
      const answer = yield* harness.declare(infoOf(born), null)
      const isRefused = answer._tag === "Rejected" && answer.error.code === "parent_sealed"
      if (isRefused !== isSealed) problems.push(`a declaration ${isSealed ? "" : "not "}under the seal: ${answer._tag}`)
      return
    }
    const { admission } = yield* harness.register({ appId: born.appId, parentId: parent.appId, info: infoOf(born) })
    const only = admission._tag === "Accepted" ? admission.only : "rejected"
    if ((only === "cancel") !== isSealed) problems.push(`a birth ${isSealed ? "" : "not "}under the seal: ${only}`)
  })

  // Each level takes two rounds at most: one that asks it, one in which whoever has not answered is out of time.
  for (let rounds = 0; ; rounds++) {
    if (rounds > 64) return [...problems, "it does not come to its end"]
    const { asked, isFinished } = yield* cascades.advance(id)
    const waiting = planned.filter((node) => !node.asked && !isFinal(node) && node.beginning !== "scheduled")
    const deepest = Math.max(...waiting.map(({ depth }) => depth))
    for (const { appId } of asked) {
      const node = nodes.find((known) => known.appId === appId)!
      if (node.depth !== deepest) problems.push(`depth ${node.depth} was asked before depth ${deepest}`)
      if (int(4) === 0) yield* bear()
    }
    for (const { appId } of asked) yield* onAsked(nodes.find((known) => known.appId === appId)!)
    if (isFinished) break
    if (asked.length > 0) continue
    // Time passes: whoever has been asked is out of patience now.
    yield* database.query(
      {
        name: "",
        text: `
update cascade_nodes set asked_at = asked_at - interval '1 hour' where operation = '${id}' and state = 'asked';
update control_queue set delivered_at = delivered_at - interval '1 hour' where operation = '${id}'`
      },
      []
    )
  }

  const found = new Map((yield* cascades.nodes(id, null, null, 1000)).map((node) => [node.appId, node]))
  if (found.size !== planned.length) problems.push(`${found.size} nodes are in the plan, not ${planned.length}`)
  for (const node of nodes) {
    const [outcome, status] = planned.includes(node) ? expectedOf(node) : [undefined, node.status]
    const about = `${node.beginning}/${node.manner}/${node.returns} at depth ${node.depth}`
    const real = found.get(node.appId)?.outcome
    if (real !== outcome) problems.push(`${about}: ${real}, not ${outcome}`)
    const row = yield* harness.row(node.appId)
    if (row.status !== status) problems.push(`${about}: ${row.status}, not ${status}`)
    if (outcome === "forced" || outcome === "unreachable") {
      if (row.outcome?.forced !== true) problems.push(`${about}: its row does not say that it was forced`)
    }
  }
  return problems
})
