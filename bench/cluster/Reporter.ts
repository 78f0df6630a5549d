import type { RawNode } from "../../test/harness/RawNode.ts"
import { attach, rootOf } from "../../test/harness/TestNode.ts"
import type { ServerAddress } from "../../test/harness/Trailsd.ts"
import type { Wire } from "../../test/harness/Wire.ts"

/** A node of this process that reports, and says when the ack was here: trailsd sends it when it has committed. */
export class Reporter implements Disposable {
  readonly appId: string
  readonly #node: RawNode
  readonly #wire: Wire
  #onAck = (_at: number): void => {}

  private constructor(node: RawNode, wire: Wire) {
    this.appId = node.appId
    this.#node = node
    this.#wire = wire
    node.onFrame = ({ type }) => {
      if (type === "ack") this.#onAck(performance.now())
    }
  }

  static async at(server: ServerAddress): Promise<Reporter> {
    const node = rootOf(server, { startDeadline: 0 })
    return new Reporter(node, await attach(server, node))
  }

  /** Sends `{ number }`; resolves with the time of its ack. */
  async report(number: number): Promise<number> {
    const acked = new Promise<number>((resolve) => (this.#onAck = resolve))
    this.#node.status({ number })
    return await acked
  }

  [Symbol.dispose](): void {
    this.#wire.terminate()
  }
}
