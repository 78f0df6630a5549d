import type { ErrorFrame, EventFrame, ServerFrame } from "../../src/protocol/Frames.ts"
import { decodeServerFrame } from "../../src/protocol/ServerFrameDecoder.ts"
import type { TreeEvent } from "../../src/protocol/TreeEvent.ts"
import type { RawNode } from "./RawNode.ts"
import { waitUntil } from "./waitUntil.ts"

/** The tree events that one node is sent, over all of its sessions, in the order of their arrival. */
export class Watcher {
  readonly node: RawNode
  readonly frames: Array<EventFrame> = []
  readonly errors: Array<ErrorFrame> = []

  constructor(node: RawNode) {
    this.node = node
    node.onFrame = (frame) => this.#take(frame)
  }

  get events(): ReadonlyArray<TreeEvent> {
    return this.frames.map(({ event }) => event)
  }

  /** Of the last event; undefined before the first one. */
  get cursor(): string | undefined {
    return this.frames.at(-1)?.cursor
  }

  subscribe(scope: "children" | "subtree", from?: string, changes: Readonly<Record<string, unknown>> = {}): void {
    const { appId, incarnation, wire } = this.node
    wire!.send(
      this.node.sealed({
        type: "subscribe",
        app_id: appId,
        incarnation,
        scope,
        ...(from === undefined ? {} : { from }),
        ...changes
      })
    )
  }

  of(appId: string): ReadonlyArray<TreeEvent> {
    return this.events.filter(({ data }) => data.app_id === appId)
  }

  kinds(appId: string): ReadonlyArray<string> {
    return this.of(appId).map(({ data }) => data.kind)
  }

  /** The first event of this kind about the node. */
  sees(appId: string, kind: string, withinMs = 10_000): Promise<TreeEvent> {
    return waitUntil(`an event ${kind} of ${appId}`, () => this.of(appId).find(({ data }) => data.kind === kind), {
      withinMs
    })
  }

  #take(frame: ServerFrame): void {
    if (frame.type === "error") this.errors.push(frame)
    if (frame.type !== "event") return
    const decoded = decodeServerFrame(JSON.stringify(frame))
    if (!("frame" in decoded)) throw new Error(`the server sent no tree event: ${decoded.message}`)
    this.frames.push(decoded.frame as EventFrame)
  }
}
