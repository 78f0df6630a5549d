import { Context, Effect, Layer, type Scope } from "effect"

export type BusHandler = (subject: string, body: string) => void

/**
 * Carries hints between actors and replicas. A message here may be lost, doubled or late, and none alone changes state
 * (P14): whatever must happen is first a row (DESIGN §2). `Bus.local` serves one replica; NATS stands behind the same
 * contract.
 */
export class Bus extends Context.Service<
  Bus,
  {
    readonly kind: "local" | "nats"
    /** Fire and forget; never fails, never waits. */
    readonly publish: (subject: string, body: string) => void
    /** Subjects as in NATS: tokens between dots, `*` for one token, a closing `>` for one or more. */
    readonly subscribe: (pattern: string, handler: BusHandler) => Effect.Effect<void, never, Scope.Scope>
  }
>()("trails/actors/Bus") {
  static readonly local = Layer.sync(this, () => {
    const subscriptions = new Set<{ readonly pattern: ReadonlyArray<string>; readonly handler: BusHandler }>()
    return {
      kind: "local" as const,
      publish: (subject: string, body: string) => {
        const tokens = subject.split(".")
        // A turn of its own, as on a network: no handler runs inside its publisher's stack.
        queueMicrotask(() => {
          for (const { handler, pattern } of subscriptions) if (matches(pattern, tokens)) handler(subject, body)
        })
      },
      subscribe: (pattern: string, handler: BusHandler) =>
        Effect.asVoid(
          Effect.acquireRelease(
            Effect.sync(() => {
              const subscription = { pattern: pattern.split("."), handler }
              subscriptions.add(subscription)
              return subscription
            }),
            (subscription) => Effect.sync(() => subscriptions.delete(subscription))
          )
        )
    }
  })
}

const matches = (pattern: ReadonlyArray<string>, tokens: ReadonlyArray<string>): boolean => {
  for (let i = 0; i < pattern.length; i++) {
    if (pattern[i] === ">") return tokens.length > i
    if (i >= tokens.length || (pattern[i] !== "*" && pattern[i] !== tokens[i])) return false
  }
  return pattern.length === tokens.length
}
