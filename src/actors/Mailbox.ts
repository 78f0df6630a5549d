import type { NodeMessage } from "./NodeMessage.ts"

/**
 * One actor's bounded inbox. Two classes: supervision (hints of the sweep, the reaper and of whoever moved the row)
 * before control and data, unless a registration waits; FIFO within a class, so FIFO per sender. Not guaranteed: an
 * order between the classes.
 */
export class Mailbox {
  #normal: Array<NodeMessage> = []
  #supervision: Array<NodeMessage> = []

  get size(): number {
    return this.#normal.length + this.#supervision.length
  }

  /** False when `capacity` is reached. Supervision hints collapse: a second one of the same kind says nothing new. */
  offer(message: NodeMessage, capacity: number): boolean {
    switch (message._tag) {
      case "Deadline":
      case "Moved":
      case "Commanded":
        if (!this.#supervision.some((other) => other._tag === message._tag)) this.#supervision.push(message)
        return true
      case "Orphaned": {
        const same = (other: NodeMessage) => other._tag === "Orphaned" && other.owner === message.owner
        if (!this.#supervision.some(same)) this.#supervision.push(message)
        return true
      }
      case "SocketLost":
        this.#normal.push(message)
        return true
      default:
        if (this.#normal.length >= capacity) return false
        this.#normal.push(message)
        return true
    }
  }

  /** Takes at most `limit` messages, by class and in order. */
  take(limit: number): Array<NodeMessage> {
    if (this.#supervision.length === 0) {
      if (this.#normal.length <= limit) {
        const all = this.#normal
        this.#normal = []
        return all
      }
      return this.#normal.splice(0, limit)
    }
    // Proof of life goes before a verdict of silence, also within one batch.
    if (this.hasRegistration) return this.#normal.splice(0, limit)
    const first = this.#supervision
    this.#supervision = []
    return first.length >= limit ? first : first.concat(this.#normal.splice(0, limit - first.length))
  }

  /** A registration waits: proof of life that a verdict of silence must not overtake. */
  get hasRegistration(): boolean {
    return this.#normal.some((message) => message._tag === "Register" || message._tag === "ReRegister")
  }
}
