import { Effect, Layer } from "effect"
import { Bus } from "../../src/actors/Bus.ts"
import { seeded, type Random } from "./Random.ts"

/** What the network does to a message. */
export interface BusFaults {
  /** Probability of never arriving. */
  readonly lose: number
  /** Probability of arriving twice. */
  readonly double: number
  /** Each copy arrives up to so much later, milliseconds: messages overtake each other. */
  readonly delayMs: number
}

export const SOUND: BusFaults = { lose: 0, double: 0, delayMs: 0 }

export interface Sent {
  readonly subject: string
  readonly body: string
}

/**
 * A bus between replicas of one process, with the faults of a network by seed. It also keeps what was sent, for those who
 * forge, and carries what they inject.
 */
export class LossyBus {
  faults: BusFaults = SOUND
  readonly sent: Array<Sent> = []
  /** Copies that have not arrived yet. */
  underWay = 0
  lost = 0
  doubled = 0
  readonly #random: Random
  readonly #wire = Effect.runSync(Effect.provide(Bus, Bus.local))

  constructor(seed: number) {
    this.#random = seeded(seed)
  }

  readonly layer: Layer.Layer<Bus> = Layer.sync(Bus, () => ({
    kind: "nats" as const,
    connected: () => true,
    publish: (subject: string, body: string) => {
      this.sent.push({ subject, body })
      this.#carry(subject, body)
    },
    subscribe: this.#wire.subscribe
  }))

  /** Arrives as it is, whatever the faults. */
  inject({ body, subject }: Sent): void {
    this.#wire.publish(subject, body)
  }

  #carry(subject: string, body: string): void {
    const { delayMs, double, lose } = this.faults
    if (this.#random.next() < lose) return void this.lost++
    const copies = this.#random.next() < double ? 2 : 1
    this.doubled += copies - 1
    for (let copy = 0; copy < copies; copy++) {
      this.underWay++
      const arrive = (): void => {
        this.underWay--
        this.#wire.publish(subject, body)
      }
      if (delayMs === 0) arrive()
      else setTimeout(arrive, this.#random.between(0, delayMs))
    }
  }
}
