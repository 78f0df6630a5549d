import { describeError } from "./Payload.ts"

/** What a command is answered. `result`: exact JSON text. */
export type Answer = { readonly ack: true; readonly result: string } | { readonly ack: false; readonly error: string }

/** Of an error text in an answer, bytes (docs/protocol.md §15). */
const REASON = 1024

/** At most a third of the bytes that the protocol allows, whatever the characters are. */
export const failure = (code: string, error: unknown): Answer => ({
  ack: false,
  error: `${code}: ${describeError(error).message}`
    .replaceAll("\0", " ")
    .slice(0, REASON / 3)
    .toWellFormed()
})
