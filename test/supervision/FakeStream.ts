import { Effect } from "effect"
import type { TreeLogRow } from "../../src/storage/TreeLog.ts"
import {
  type Anchor,
  type EventMessage,
  type EventOutlet,
  type Fate,
  OutletAway
} from "../../src/supervision/EventOutlet.ts"

interface Message {
  readonly id: string | null
  readonly cursor: number
}

const idOf = ({ appId, n }: TreeLogRow): string => `${appId}:${n}`

/**
 * A stream as JetStream keeps one: ids are looked for first, then the anchor is held against the last message. Its faults
 * are verbs; each publisher sees it through an outlet of its own.
 */
export class FakeStream {
  messages: Array<Message> = []
  #lastSequence = 0
  exists = false
  away: OutletAway | null = null
  /** Ids remembered; emptied: the window of duplicates is over. */
  ids = new Set<string>()
  readonly asked: Array<ReadonlyArray<string>> = []
  /** Called before each message of a publish is stored; what it answers is the message's fate, whatever the stream does. */
  meddle: (id: string, message: EventMessage) => Fate | "stored silently" | null = () => null
  /** Rows that can't be rendered. */
  readonly poison = new Set<string>()

  delete(): void {
    this.exists = false
    this.messages = []
    this.ids.clear()
    this.#lastSequence = 0
  }

  /** Somebody else's message. */
  intrude(): void {
    this.#store({ id: null, cursor: 0 })
  }

  get stored(): ReadonlyArray<string> {
    return this.messages.flatMap(({ id }) => id ?? [])
  }

  /** As one publisher has it. */
  outlet(): EventOutlet["Service"] {
    return {
      reachable: () => true,
      open: Effect.suspend(() => {
        if (this.away !== null) return Effect.fail(this.away)
        this.exists = true
        return Effect.succeed({
          lastSequence: this.#lastSequence,
          render: (row: TreeLogRow, bare: boolean) => {
            const id = idOf(row)
            if (this.poison.has(id)) throw new Error("poison")
            return { id, cursor: row.id, subject: "s", body: new Uint8Array(8), bare }
          },
          publish: (messages: ReadonlyArray<EventMessage>, anchor: Anchor) =>
            Effect.sync(() => this.publish(messages, anchor))
        })
      })
    }
  }

  publish(messages: ReadonlyArray<EventMessage>, anchor: Anchor): ReadonlyArray<Fate> {
    this.asked.push(messages.map(({ id }) => id))
    return messages.map((message, index): Fate => {
      const before = messages[index - 1]
      const fate = this.meddle(message.id, message)
      if (fate !== null && fate !== "stored silently") return fate
      const kept = this.#take(message, before === undefined ? anchor : { _tag: "Event", id: before.id })
      return fate === null ? kept : { _tag: "unknown", why: "no answer" }
    })
  }

  #take({ cursor, id }: EventMessage, anchor: Anchor): Fate {
    if (!this.exists) return { _tag: "unknown", why: "no stream" }
    if (this.ids.has(id)) return { _tag: "stored" }
    const holds = anchor._tag === "Event" ? this.messages.at(-1)?.id === anchor.id : this.#lastSequence === anchor.last
    if (!holds) return { _tag: "misplaced" }
    this.#store({ id, cursor })
    return { _tag: "stored" }
  }

  #store(message: Message): void {
    this.messages.push(message)
    this.#lastSequence++
    if (message.id !== null) this.ids.add(message.id)
  }
}

export const away = (reason: OutletAway["reason"] = "away"): OutletAway => new OutletAway({ reason, message: "gone" })
