import type { JsMsg } from "@nats-io/jetstream"
import { scanObject } from "../protocol/JsonScan.ts"
import { parseJson } from "../protocol/FrameDecoder.ts"
import { readTreeEvent, type TreeEvent, type TreeEventData } from "../protocol/TreeEvent.ts"
import { belongsOn } from "./Filters.ts"
import type { Verdict } from "./Verdict.ts"

/** A message of the stream that is no tree event, or not the one that belongs on its subject. */
export interface BadEvent {
  readonly reason: "not_json" | "not_an_event" | "wrong_subject"
  readonly subject: string
  readonly sequence: number
  readonly data: Uint8Array
}

/** One tree event as a durable consumer delivers it, at least once: `event.id` tells one that has come before. */
export class ReceivedEvent {
  readonly event: TreeEvent
  /** Whether a node's frame is what the node has signed. */
  readonly verdict: Verdict
  readonly #message: JsMsg
  readonly #onAck: () => void
  #isSettled = false

  constructor(event: TreeEvent, verdict: Verdict, message: JsMsg, onAck = () => {}) {
    this.event = event
    this.verdict = verdict
    this.#message = message
    this.#onAck = onAck
  }

  /** `<appId>:<n>` */
  get id(): string {
    return this.event.id
  }

  get kind(): TreeEventData["kind"] {
    return this.event.data.kind
  }

  /** The node that it happened to. */
  get appId(): string {
    return this.event.data.app_id
  }

  get data(): TreeEventData {
    return this.event.data
  }

  /** What the node has reported: of a Status, Result or Error, or the result of a command; undefined: nothing, or bytes. */
  get payload(): unknown {
    const text = this.payloadText
    return text === undefined ? undefined : parseJson(text)
  }

  /** Its exact text: JSON.parse rounds numbers beyond 2^53. */
  get payloadText(): string | undefined {
    const { frame } = this.event.data
    if (frame === undefined) return undefined
    const scan = scanObject(frame)
    if (typeof scan === "string") return undefined
    const at = scan.keys.findIndex((key) => key === "payload" || key === "result")
    return at < 0 ? undefined : frame.slice(scan.starts[at], scan.ends[at])
  }

  /** Its place in the stream. */
  get sequence(): number {
    return this.#message.seq
  }

  /** It was delivered before, to whoever has this consumer, and not acked in time. */
  get redelivered(): boolean {
    return this.#message.redelivered
  }

  /** It has been acked, or given back. */
  get isSettled(): boolean {
    return this.#isSettled
  }

  /** It is dealt with: it is not delivered again. */
  ack(): void {
    this.#settle(() => {
      this.#message.ack()
      this.#onAck()
    })
  }

  /** It is delivered again, after later ones, not before so many milliseconds. */
  nak(afterMs?: number): void {
    this.#settle(() => this.#message.nak(afterMs))
  }

  /** It is still at work: `ackWaitMs` begins anew. */
  working(): void {
    if (!this.#isSettled) this.#message.working()
  }

  #settle(say: () => void): void {
    if (this.#isSettled) return
    this.#isSettled = true
    say()
  }
}

/** The event in a message, or what is wrong with it. Never throws. */
export const readMessage = ({ data, seq, subject }: JsMsg): TreeEvent | BadEvent => {
  const bad = (reason: BadEvent["reason"]): BadEvent => ({ reason, subject, sequence: seq, data })
  const value = parseJson(new TextDecoder().decode(data))
  if (value === undefined) return bad("not_json")
  const event = readTreeEvent(value)
  if (event === null) return bad("not_an_event")
  return belongsOn(subject, event) ? event : bad("wrong_subject")
}

export const isBad = (read: TreeEvent | BadEvent): read is BadEvent => "reason" in read
