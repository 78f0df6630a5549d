import { Clock, Effect, Layer } from "effect"
import { type SweepMessage, DeadlineTarget } from "../../src/supervision/DeadlineTarget.ts"
import type { NodeState } from "../../src/protocol/Frames.ts"
import { type DueFilter, NodeStore } from "../../src/storage/NodeStore.ts"

interface FakeNode {
  status: NodeState
  deadlineAt: number | null
  owner: string | null
}

const unused = () => Effect.die("not in these tests")

/** Nodes that only sweeps look at, and actors that note what they are told and then do what `onTold` says. */
export class FakeNodes {
  readonly nodes = new Map<string, FakeNode>()
  readonly told: Array<string> = []
  readonly tags: Array<string> = []
  queries = 0
  /** Owners whose lease has expired. */
  readonly dead = new Set<string>()
  /** What an actor does: by default it moves the node, so that it is due no more. False: its mailbox is full. */
  onTold: (appId: string) => boolean = (appId) => {
    const node = this.nodes.get(appId)
    if (node !== undefined) {
      node.deadlineAt = null
      node.owner = null
    }
    return true
  }

  add(appId: string, status: NodeState, deadlineAt: number | null, owner: string | null = null): void {
    this.nodes.set(appId, { status, deadlineAt, owner })
  }

  readonly #due = (limit: number, filter: DueFilter = {}) =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      this.queries++
      return [...this.nodes]
        .filter(
          ([, { deadlineAt, status }]) =>
            deadlineAt !== null &&
            deadlineAt <= now &&
            (filter.status === undefined || filter.status === status) &&
            (filter.withinMs === undefined || now - deadlineAt < filter.withinMs)
        )
        .sort(([, a], [, b]) => (a.deadlineAt ?? 0) - (b.deadlineAt ?? 0))
        .slice(0, limit)
        .map(([appId, { owner, status }]) => ({ appId, status, owner }))
    })

  readonly #orphaned = (limit: number) =>
    Effect.sync(() =>
      [...this.nodes]
        .filter(([, { owner }]) => owner !== null && this.dead.has(owner))
        .slice(0, limit)
        .map(([appId, { owner, status }]) => ({ appId, status, owner }))
    )

  get layer(): Layer.Layer<NodeStore | DeadlineTarget> {
    return Layer.mergeAll(
      Layer.succeed(NodeStore, {
        lanes: 1,
        append: unused,
        birth: unused,
        read: unused,
        keys: unused,
        storedFrames: unused,
        follow: unused,
        due: this.#due,
        owned: unused,
        orphaned: this.#orphaned
      }),
      Layer.succeed(DeadlineTarget, {
        tell: (appId: string, message: SweepMessage) => {
          if (!this.onTold(appId)) return false
          this.told.push(appId)
          this.tags.push(message._tag)
          return true
        }
      })
    )
  }
}
