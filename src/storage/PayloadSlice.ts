/** Where the payload's exact text is: a slice of the frame (1-based, as `substr` counts), or stored beside it. */
export type PayloadSlice = { readonly at: number; readonly length: number } | { readonly text: string }

const SIGNED_TAIL = ',"sig":"ed25519:'.length + 88 + 2
const TAILS = [1, ',"sig":null}'.length, ', "sig": null}'.length, SIGNED_TAIL]
const KEYS = ['"payload":', '"payload": ', '"result":', '"result": ']

// Postgres counts characters, JavaScript UTF-16 units: a slice is used only where they are the same.
const ASTRAL = /[\ud800-\udfff]/

/**
 * Looks at a few places only, each in one comparison: a search through the frame could be made quadratic by its
 * sender. Found or not, the text that is read back is the same.
 */
export const payloadSlice = (frame: string | null, payload: string): PayloadSlice => {
  if (frame === null || frame.length < payload.length || ASTRAL.test(frame)) return { text: payload }
  const found = (at: number): boolean => at >= 0 && frame.startsWith(payload, at)
  for (const tail of TAILS) {
    const at = frame.length - tail - payload.length
    if (found(at)) return { at: at + 1, length: payload.length }
  }
  for (const key of KEYS) {
    const last = frame.lastIndexOf(key)
    const at = last < 0 ? -1 : last + key.length
    if (found(at)) return { at: at + 1, length: payload.length }
    const first = last < 0 ? -1 : frame.indexOf(key) + key.length
    if (found(first)) return { at: first + 1, length: payload.length }
  }
  return { text: payload }
}
