import type { TrailsNode } from "../../src/client/TrailsNode.ts"
import { type Spread, spreadOf } from "../../bench/spread.ts"

/** How often each node reports, and how often its acks are looked at, milliseconds. */
const EVERY_MS = 100
const LOOK_MS = 10

interface Course {
  said: number
  acked: number
  /** When an ack came last, or the measuring began. */
  since: number
  longestMs: number
}

/** Nodes that report all the time, and for each the longest time in which nothing of that was acked. */
export class Reporting implements Disposable {
  readonly #courses: Map<TrailsNode, Course>
  readonly #timers: ReadonlyArray<NodeJS.Timeout>

  constructor(nodes: ReadonlyArray<TrailsNode>) {
    const since = performance.now()
    this.#courses = new Map(
      nodes.map((node) => [node, { said: 0, acked: node.stats().acked, since, longestMs: 0 }] as const)
    )
    this.#timers = [setInterval(() => this.#report(), EVERY_MS), setInterval(() => this.#look(), LOOK_MS)]
  }

  /** How many reports the node has made; each has its number, from 0. */
  said(node: TrailsNode): number {
    return this.#courses.get(node)?.said ?? 0
  }

  /** Over all nodes, since the last call, milliseconds. */
  takeGaps(): Spread {
    this.#look()
    const courses = [...this.#courses.values()]
    const gaps = spreadOf(courses.map(({ longestMs }) => longestMs))
    for (const course of courses) {
      course.longestMs = 0
      course.since = performance.now()
    }
    return gaps
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearInterval(timer)
  }

  #report(): void {
    for (const [node, course] of this.#courses) node.status({ report: course.said++ })
  }

  #look(): void {
    const now = performance.now()
    for (const [node, course] of this.#courses) {
      const { acked } = node.stats()
      course.longestMs = Math.max(course.longestMs, now - course.since)
      if (acked > course.acked) course.since = now
      course.acked = acked
    }
  }
}
