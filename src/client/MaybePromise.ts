/** At once where the platform can (Node, Deno, Bun), later where it can't (browsers). */
export type MaybePromise<A> = A | Promise<A>

/** `value` handed to `next`: in the same turn unless it is a promise. */
export const chain = <A, B>(value: MaybePromise<A>, next: (value: A) => MaybePromise<B>): MaybePromise<B> =>
  value instanceof Promise ? value.then(next) : next(value)
