import { randomUUID } from "node:crypto"
import type { NewCascade } from "../../src/storage/CascadeStore.ts"
import type { LogEntry } from "../../src/storage/LogRow.ts"
import type { HotState, Identity, NodeRow } from "../../src/storage/NodeRow.ts"
import type { Birth, BirthFacts, BirthOutcome, BirthRequest, NodeWrite } from "../../src/storage/NodeStore.ts"

export const hotState = (patch: Partial<HotState> = {}): HotState => ({
  status: "connected",
  before: null,
  owner: null,
  session: null,
  epoch: 1,
  incarnation: 1,
  lastSeq: 0,
  rebinds: 0,
  ...patch
})

/** A cancel of a node and all below it. */
export const cancelOf = (id: string, appId: string): NewCascade => ({
  id,
  appId,
  action: "cancel",
  payload: "null",
  scope: "tree",
  origin: null,
  reason: "r",
  graceMs: 60_000,
  deadlineMs: null,
  filter: null,
  issuedBy: "admin",
  idempotencyKey: null,
  traceparent: null
})

export const logEntry = (patch: Partial<LogEntry> = {}): LogEntry => ({
  kind: "connected",
  incarnation: 1,
  seq: null,
  correlationId: null,
  frame: null,
  payload: null,
  bytes: null,
  data: null,
  traceparent: null,
  ...patch
})

export const identity = (patch: Partial<Identity> = {}): Identity => ({
  incarnation: 1,
  pubKey: "ed25519:key-1",
  processInfo: {
    pid: 7,
    ppid: 1,
    uid: 1000,
    gid: 1000,
    hostname: "pod-1",
    start_time: 1_700_000_000,
    executable: "/bin/x"
  },
  capabilities: ["pause"],
  cancelGraceMs: null,
  ...patch
})

export const birthOf = (patch: Partial<Birth> = {}): Birth => ({
  appName: "worker",
  namespace: "etl",
  level: "open",
  envelope: null,
  originator: { sub: "ada", groups: ["ops"] },
  roleRefs: ["reader"],
  grants: [],
  tags: { device_type: "gas_detector" },
  supervision: { onParentExit: "abandon", onCrash: "notify", restarts: 2 },
  childKey: null,
  ticketHash: null,
  traceparent: null,
  startDeadline: 300,
  scheduledAt: 1_795_000_000_000,
  hot: hotState(),
  deadlineIn: null,
  outcome: null,
  identity: identity(),
  rows: [logEntry()],
  ...patch
})

export const requestOf = (
  birth: Birth | ((facts: BirthFacts) => Birth),
  patch: Partial<Omit<BirthRequest<never>, "decide">> = {}
): BirthRequest<never> => ({
  appId: randomUUID(),
  parentId: null,
  replaces: null,
  writeId: randomUUID(),
  decide: (facts) => ({ _tag: "Bear", birth: typeof birth === "function" ? birth(facts) : birth }),
  ...patch
})

export const statusFrame = (appId: string, seq: number, payload: string): string =>
  `{"type":"message","app_id":"${appId}","incarnation":1,"start_day":690,"header":{"msg_type":"Status",` +
  `"timestamp":1795389414779,"seq":${seq},"correlation_id":null},"payload":${payload},"sig":null}`

export const statusEntry = (appId: string, seq: number, payload = `{"at":${seq}}`): LogEntry =>
  logEntry({ kind: "status", seq, frame: statusFrame(appId, seq, payload), payload })

type Node = Pick<NodeRow, "appId" | "epoch" | "n"> & Partial<Pick<NodeRow, "path">>

/** A Status as the actor writes it. */
export const statusWrite = (node: Node, seq: number, patch: Partial<NodeWrite> = {}): NodeWrite => ({
  appId: node.appId,
  expected: { epoch: node.epoch, n: node.n },
  writeId: randomUUID(),
  pathVersion: 1,
  path: node.path ?? [node.appId],
  hot: hotState({ status: "running", epoch: node.epoch, lastSeq: seq }),
  deadlineIn: null,
  snapshot: { seq, payload: `{"at":${seq}}` },
  rows: [statusEntry(node.appId, seq)],
  ...patch
})

/** The row of a birth that must have happened. */
export const bornRow = (outcome: BirthOutcome<unknown>): NodeRow => {
  if (outcome._tag !== "Born") throw new Error(`not born: ${outcome._tag}`)
  return outcome.row
}
