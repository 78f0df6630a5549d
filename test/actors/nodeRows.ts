import type { Decoded, DisconnectFrame, MessageFrame, MsgType } from "../../src/protocol/Frames.ts"
import type { NodeRow } from "../../src/storage/NodeRow.ts"

export const APP = "0a9f3c3e-7f0e-4f57-9c0e-5c2f3f8d1a01"
export const PARENT = "0a9f3c3e-7f0e-4f57-9c0e-5c2f3f8d1a02"

/** A running node at epoch 3, n 7, last seq 5; `patch` says what is otherwise. */
export const nodeRow = (patch: Partial<NodeRow> = {}): NodeRow => ({
  appId: APP,
  parentId: null,
  rootId: APP,
  path: [APP],
  pathVersion: 1,
  appName: "node",
  namespace: "default",
  level: "open",
  supervision: { onParentExit: "abandon", onCrash: "notify", restarts: 0 },
  childKey: null,
  ticketHash: null,
  originator: null,
  roleRefs: [],
  grants: [],
  tags: null,
  startDay: 690,
  status: "running",
  before: null,
  owner: "b",
  session: "s",
  epoch: 3,
  incarnation: 1,
  lastSeq: 5,
  rebinds: 0,
  n: 7,
  writeId: "w",
  deadlineAt: null,
  readAt: 1000,
  pubKey: "key",
  outcome: null,
  ...patch
})

export const message = (
  seq: number,
  msg_type: MsgType = "Status",
  payload = `{"seq":${seq}}`,
  incarnation: number | null = 1
): Decoded<MessageFrame> => {
  const frame: MessageFrame = {
    type: "message",
    app_id: APP,
    header: { msg_type, timestamp: 0, seq, correlation_id: null },
    ...(incarnation === null ? {} : { incarnation })
  }
  const raw = JSON.stringify({ ...frame, payload: JSON.parse(payload) as unknown })
  return { frame, raw, bytes: raw.length, payload }
}

export const disconnect = (reason: string, seq: number | null): Decoded<DisconnectFrame> => {
  const frame: DisconnectFrame = {
    type: "disconnect",
    app_id: APP,
    reason,
    ...(seq === null ? {} : { seq, incarnation: 1 })
  }
  const raw = JSON.stringify(frame)
  return { frame, raw, bytes: raw.length, payload: null }
}
