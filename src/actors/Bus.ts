import { Clock, Context, Effect, Layer, type Scope } from "effect"

export type BusHandler = (subject: string, body: string) => void

/** Between two log lines about one handler that throws, milliseconds. */
const SAY_EVERY_MS = 60_000

/**
 * Carries hints between actors and replicas. A message here may be lost, doubled or late, and none alone changes state
 * (P14): whatever must happen is first a row (DESIGN §2). `Bus.local` serves one replica; NATS stands behind the same
 * contract (`transports/NatsBus.ts`).
 *
 * - B1: no handler runs inside its publisher's stack.
 * - B2: one publisher's messages reach one subscription in the order in which they were published.
 * - B3: a handler that throws harms nobody: neither the publisher, nor other handlers, nor its own later messages.
 * - B4: a replica hears what it publishes itself, whether or not it can reach others.
 */
export class Bus extends Context.Service<
  Bus,
  {
    readonly kind: "local" | "nats"
    /** Whether other replicas can be told and heard at the moment; true where there are none. */
    readonly connected: () => boolean
    /** Fire and forget; never fails, never waits. A subject without wildcards. */
    readonly publish: (subject: string, body: string) => void
    /**
     * Subjects as in NATS: tokens between dots, `*` for one token, a closing `>` for one or more. Lasts as long as the scope,
     * over reconnects; from other replicas it hears as soon as there is a way to them.
     */
    readonly subscribe: (pattern: string, handler: BusHandler) => Effect.Effect<void, never, Scope.Scope>
  }
>()("trails/actors/Bus") {
  static readonly local = Layer.sync(this, () => makeLocalBus())
}

/** The bus of one process; others build on it for what they carry further. */
export const makeLocalBus = (): Bus["Service"] => {
  const subscriptions = new Set<{ readonly pattern: ReadonlyArray<string>; readonly handler: BusHandler }>()
  return {
    kind: "local",
    connected: () => true,
    publish: (subject, body) => {
      const tokens = subject.split(".")
      // A turn of its own, as on a network.
      queueMicrotask(() => {
        for (const { handler, pattern } of subscriptions) if (matches(pattern, tokens)) handler(subject, body)
      })
    },
    subscribe: (pattern, handler) =>
      Effect.flatMap(guarded(pattern, handler), (safe) =>
        Effect.asVoid(
          Effect.acquireRelease(
            Effect.sync(() => {
              const subscription = { pattern: pattern.split("."), handler: safe }
              subscriptions.add(subscription)
              return subscription
            }),
            (subscription) => Effect.sync(() => subscriptions.delete(subscription))
          )
        )
      )
  }
}

/** The handler as carriers may call it (B3): what it throws is a line in the log, at intervals. */
export const guarded = (pattern: string, handler: BusHandler): Effect.Effect<BusHandler> =>
  Effect.contextWith((context) =>
    Effect.sync(() => {
      let last = Number.NEGATIVE_INFINITY
      const report = Effect.fnUntraced(function* (defect: unknown) {
        const now = yield* Clock.currentTimeMillis
        if (now - last < SAY_EVERY_MS) return
        last = now
        yield* Effect.logError(`a handler of the bus failed, for ${pattern}`, defect)
      })
      return (subject: string, body: string) => {
        try {
          handler(subject, body)
        } catch (defect) {
          Effect.runForkWith(context)(report(defect))
        }
      }
    })
  )

const matches = (pattern: ReadonlyArray<string>, tokens: ReadonlyArray<string>): boolean => {
  for (let i = 0; i < pattern.length; i++) {
    if (pattern[i] === ">") return tokens.length > i
    if (i >= tokens.length || (pattern[i] !== "*" && pattern[i] !== tokens[i])) return false
  }
  return pattern.length === tokens.length
}
