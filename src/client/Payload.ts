import { encodeBase64 } from "../protocol/Base64.ts"
import { utf8Length } from "../protocol/FieldReader.ts"
import { scanObject } from "../protocol/JsonScan.ts"
import { DEPTH } from "../protocol/Limits.ts"
import { JsonText } from "./JsonText.ts"

/** An application's value as it goes into a frame. */
export interface Payload {
  /** JSON text; null when there are bytes. */
  readonly json: string | null
  /** base64; null when there is JSON. */
  readonly bytes: string | null
  /** UTF-8 bytes of either. */
  readonly size: number
}

export interface PayloadProblem {
  readonly problem: string
}

export const isPayloadProblem = (value: Payload | PayloadProblem): value is PayloadProblem => "problem" in value

const OPENING = '{"":'

/**
 * `undefined` becomes null; a Uint8Array is stored as bytes; a JsonText as it is; anything else as `JSON.stringify` writes
 * it. Never throws.
 */
export const encodePayload = (value: unknown): Payload | PayloadProblem => {
  try {
    if (value instanceof Uint8Array) {
      const bytes = encodeBase64(value)
      return { json: null, bytes, size: bytes.length }
    }
    const json = value instanceof JsonText ? value.text : (JSON.stringify(value) ?? "null")
    if ((json.startsWith("{") || json.startsWith("[")) && scanObject(`${OPENING}${json}}`) === "depth")
      return { problem: `it nests deeper than ${DEPTH - 1} levels` }
    return { json, bytes: null, size: utf8Length(json) }
  } catch (error) {
    return { problem: problemOf(error) }
  }
}

/** What a `toJSON` throws may throw again when it is looked at. */
const problemOf = (error: unknown): string => {
  try {
    if (error instanceof RangeError) return "it nests too deeply"
    return error instanceof Error ? short(error.message) : "JSON.stringify failed"
  } catch {
    return "JSON.stringify failed"
  }
}

/** Of a name, message or code in an error report, and of a stack; characters. */
const SHORT = 4096
const STACK = 16_384
const CAUSES = 5

const short = (text: unknown, most = SHORT): string => {
  try {
    return String(text).slice(0, most).toWellFormed()
  } catch {
    return "(can't be shown)"
  }
}

interface ErrorFacts {
  readonly name: string
  readonly code?: string
  readonly stack?: string
  readonly cause?: unknown
}

const factsOf = (error: Error, depth: number): ErrorFacts => ({
  name: short(error.name),
  ...("code" in error && error.code !== undefined ? { code: short(error.code) } : {}),
  ...(typeof error.stack === "string" ? { stack: short(error.stack, STACK) } : {}),
  ...(error.cause === undefined || depth === 0
    ? {}
    : {
        cause:
          error.cause instanceof Error
            ? { message: short(error.cause.message), ...factsOf(error.cause, depth - 1) }
            : short(error.cause)
      })
})

/**
 * The payload of an Error message: `{message, detail}`. `detail` as given, else what is known of the thrown value:
 * `{name, code?, stack?, cause?}`, each cut to a bound. Never throws.
 */
export const describeError = (error: unknown, detail?: unknown): { message: string; detail: unknown } => {
  try {
    const message = short(error instanceof Error ? error.message : error)
    if (detail !== undefined) return { message, detail }
    return { message, detail: error instanceof Error ? factsOf(error, CAUSES) : null }
  } catch {
    return { message: "an error that can't be described", detail: null }
  }
}
