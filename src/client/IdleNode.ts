import type { Child, Declared, Queued, Stats, TrailsNode } from "./TrailsNode.ts"

const INACTIVE: Queued = { queued: false, reason: "inactive", message: "there is no TRAILS_INFO: nothing is sent" }
const NOT_DECLARED: Declared = { ok: false, code: "inactive", message: "its parent is not part of a tree" }

/** A child of nobody: it gets no `TRAILS_INFO`, so that it is a no-op too. */
export const idleChild = (appId: string, name: string, declared: Declared = NOT_DECLARED): Child => ({
  appId,
  name,
  info: "",
  env: {},
  declared: Promise.resolve(declared),
  wait: () => Promise.resolve(null),
  onEvent: () => () => {}
})

/** The client of a process that is in no tree: no socket, no timer, every method succeeds (PROTOCOL §2). */
export const idleNode = (reason: string, newId: () => string): TrailsNode => {
  const stats: Stats = { state: "inactive", reason, waiting: 0, acked: 0, dropped: 0, refused: 0, reconnects: 0 }
  return {
    appId: "",
    parentId: null,
    name: "",
    isActive: false,
    traceparent: null,
    context: {},
    status: () => INACTIVE,
    result: () => INACTIVE,
    error: () => INACTIVE,
    createChild: (name) => Promise.resolve(idleChild(newId(), name)),
    onCancel: () => {},
    on: () => () => {},
    ready: () => Promise.resolve(false),
    stats: () => stats,
    shutdown: () => Promise.resolve(true),
    [Symbol.asyncDispose]: () => Promise.resolve()
  }
}
