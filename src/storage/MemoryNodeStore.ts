import { Effect, Layer } from "effect"
import { isEnded } from "../protocol/Ended.ts"
import { startDay } from "../protocol/StartDay.ts"
import { type MemoryNode, MemoryTables, step } from "./MemoryTables.ts"
import type { NodeRow } from "./NodeRow.ts"
import {
  type Birth,
  type BirthOutcome,
  type BirthRequest,
  type DueFilter,
  type DueNode,
  NodeStore,
  type NodeWrite,
  type WriteOutcome
} from "./NodeStore.ts"
import { StoreError } from "./StoreError.ts"

type Tables = MemoryTables["Service"]

const deadlineOf = (write: NodeWrite, old: number | null, now: number): number | null =>
  write.deadlineIn === "keep" ? old : write.deadlineIn === null ? null : now + Math.round(write.deadlineIn)

const write = (tables: Tables, write: NodeWrite, now: number): WriteOutcome => {
  const node = tables.nodes.get(write.appId)
  if (node === undefined) return { _tag: "Missed", exists: false, epoch: 0, n: 0 }
  const { row } = node
  if (row.epoch !== write.expected.epoch || row.n !== write.expected.n) {
    if (row.writeId === write.writeId) return { _tag: "Committed" }
    return { _tag: "Missed", exists: true, epoch: row.epoch, n: row.n }
  }
  const { session, status } = write.hot
  if (session !== null && session !== row.session) node.connectedAt = now
  if (session !== null) node.disconnectedAt = null
  else if (row.session !== null) node.disconnectedAt = now
  if (!isEnded(status)) node.endedAt = null
  else if (status !== row.status) node.endedAt = now
  node.snapshot = write.snapshot?.payload ?? node.snapshot
  node.row = {
    ...row,
    ...write.hot,
    n: row.n + write.rows.length,
    writeId: write.writeId,
    deadlineAt: deadlineOf(write, row.deadlineAt, now),
    outcome: write.outcome === undefined ? row.outcome : write.outcome,
    pubKey: write.identity?.pubKey ?? row.pubKey
  }
  if (write.identity !== undefined) tables.bind(node, write.identity, now)
  tables.appendLog({ ...node.row, pathVersion: write.pathVersion, path: write.path }, row.n, write.rows, now)
  return { _tag: "Committed" }
}

const bear = (
  tables: Tables,
  request: BirthRequest<never>,
  birth: Birth,
  parent: NodeRow | null,
  now: number
): void => {
  const row: Omit<NodeRow, "readAt"> = {
    appId: request.appId,
    parentId: parent?.appId ?? null,
    rootId: parent?.rootId ?? request.appId,
    path: [...(parent?.path ?? []), request.appId],
    pathVersion: 1,
    appName: birth.appName,
    namespace: parent?.namespace ?? birth.namespace,
    level: birth.level,
    supervision: birth.supervision,
    childKey: birth.childKey,
    ticketHash: birth.ticketHash,
    originator: parent === null ? birth.originator : parent.originator,
    roleRefs: birth.roleRefs,
    grants: birth.grants,
    tags: birth.tags,
    startDay: startDay(now),
    ...birth.hot,
    n: birth.rows.length,
    writeId: request.writeId,
    deadlineAt: birth.deadlineIn === null ? null : now + Math.round(birth.deadlineIn),
    pubKey: birth.identity?.pubKey ?? null,
    outcome: birth.outcome
  }
  const node: MemoryNode = {
    row,
    keys: [],
    snapshot: null,
    processInfo: null,
    createdAt: now,
    connectedAt: birth.hot.session === null ? null : now,
    disconnectedAt: null,
    endedAt: isEnded(birth.hot.status) ? now : null
  }
  tables.nodes.set(request.appId, node)
  if (birth.identity !== undefined) tables.bind(node, birth.identity, now)
  tables.appendLog(row, 0, birth.rows, now)
}

const refused = (message: string) => new StoreError({ reason: "Refused", operation: "birth", message })

const birth = <R>(tables: Tables, request: BirthRequest<R>, now: number): BirthOutcome<R> | StoreError => {
  const { appId, parentId, replaces } = request
  const existing = tables.read(appId, now)
  if (existing !== null) return { _tag: "Exists", row: existing }
  const parent = parentId === null ? null : tables.read(parentId, now)
  const decision = request.decide({
    parent,
    sealedBy: parent?.path.find((id) => tables.seals.has(id)) ?? null,
    existing: null,
    replaced: replaces === null ? null : tables.read(replaces, now)
  })
  if (decision._tag === "Refuse") return { _tag: "Refused", refusal: decision.refusal }
  if (parentId !== null && parent === null) return refused("a birth was decided without its parent")
  if ((parent?.path.length ?? 0) >= 64) return refused("the tree is too deep")
  if (decision.replace !== undefined && write(tables, decision.replace, now)._tag !== "Committed") {
    return refused("the replaced node is not as expected")
  }
  bear(tables, request as BirthRequest<never>, decision.birth, parent, now)
  return { _tag: "Born", row: tables.read(appId, now)! }
}

const dueOf = ({ row }: { readonly row: Omit<NodeRow, "readAt"> }): DueNode => ({
  appId: row.appId,
  status: row.status,
  owner: row.owner
})

const due = (tables: Tables, limit: number, filter: DueFilter | undefined, now: number): ReadonlyArray<DueNode> => {
  const held = [...tables.replicas.values()].some(({ reaped, verdictsHeldUntil }) => !reaped && verdictsHeldUntil > now)
  return [...tables.nodes.values()]
    .filter(
      ({ row }) =>
        row.deadlineAt !== null &&
        row.deadlineAt <= now &&
        (!held || row.status === "scheduled") &&
        (filter?.status === undefined || row.status === filter.status) &&
        (filter?.withinMs === undefined || row.deadlineAt > now - filter.withinMs)
    )
    .sort((a, b) => a.row.deadlineAt! - b.row.deadlineAt!)
    .slice(0, limit)
    .map(dueOf)
}

const orphaned = (tables: Tables, limit: number): ReadonlyArray<DueNode> =>
  [...tables.nodes.values()]
    .filter(
      ({ row }) =>
        row.owner !== null &&
        (row.status === "connected" || row.status === "running") &&
        tables.replicas.get(row.owner)?.reaped !== false
    )
    .slice(0, limit)
    .map(dueOf)

/** `NodeStore` in memory: for unit tests. */
export const layer: Layer.Layer<NodeStore, never, MemoryTables> = Layer.effect(
  NodeStore,
  Effect.gen(function* () {
    const tables = yield* MemoryTables
    return {
      lanes: 1,
      append: (_lane, writes) => step(tables, (t, now) => writes.map((one) => write(t, one, now))),
      birth: Effect.fnUntraced(function* <R>(request: BirthRequest<R>) {
        const outcome = yield* step(tables, (t, now) => birth(t, request, now))
        return outcome instanceof StoreError ? yield* outcome : outcome
      }),
      read: (appId) => step(tables, (t, now) => t.read(appId, now)),
      keys: (appId) =>
        step(tables, (t) => (t.nodes.get(appId)?.keys ?? []).map(({ from, pubKey, to }) => ({ pubKey, from, to }))),
      storedFrames: (appId, incarnation, seqs) =>
        step(tables, (t) =>
          t.log
            .flatMap((row) =>
              row.appId === appId &&
              row.incarnation === incarnation &&
              row.seq !== null &&
              row.frame !== null &&
              seqs.includes(row.seq)
                ? [{ seq: row.seq, frame: row.frame }]
                : []
            )
            .sort((a, b) => a.seq - b.seq)
        ),
      follow: (after, limit) => step(tables, (t) => t.log.slice(Math.max(0, after), Math.max(0, after) + limit)),
      due: (limit, filter) => step(tables, (t, now) => due(t, limit, filter, now)),
      owned: (boot, after, limit) =>
        step(tables, (t) =>
          [...t.nodes.values()]
            .filter(({ row }) => row.owner === boot && (row.status === "connected" || row.status === "running"))
            .map(({ row }) => row.appId)
            .filter((appId) => after === null || appId > after)
            .sort()
            .slice(0, limit)
        ),
      orphaned: (limit) => step(tables, (t) => orphaned(t, limit))
    }
  })
)
