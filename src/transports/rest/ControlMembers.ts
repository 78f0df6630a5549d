import { asTraceparent, fits, isPlain } from "../../protocol/FieldReader.ts"
import { CORRELATION_ID, NAME } from "../../protocol/Limits.ts"
import { badRequest, type Problem } from "./Problem.ts"

// Members that the bodies of commands and of operations share.

/** Actions with rights and ways of their own (PROTOCOL §8). */
const RESERVED: Readonly<Record<string, string>> = {
  cancel: "A cancel is an operation of its own: POST /api/v1/apps/{id}/cancel",
  provision: "This version has no provisioning yet",
  rotate_keys: "This version has no key rotation yet",
  migrate: "This version has no migration yet"
}

/** An action's name. */
export const readAction = (given: unknown): string | Problem => {
  if (typeof given !== "string" || given === "" || !fits(given, NAME) || !isPlain(given)) {
    return badRequest("bad_member", `action must be a name of 1 to ${NAME} bytes, e.g. "reload"`)
  }
  const reserved = RESERVED[given]
  return reserved === undefined || !Object.hasOwn(RESERVED, given) ? given : badRequest("reserved_action", reserved)
}

export const readKey = (given: unknown): string | null | Problem =>
  given === undefined
    ? null
    : typeof given === "string" && given !== "" && fits(given, CORRELATION_ID) && isPlain(given)
      ? given
      : badRequest("bad_member", `idempotencyKey must be a text of 1 to ${CORRELATION_ID} bytes`)

/** What a number may be, and what it is when it is not given. */
export interface Bounds {
  readonly min: number
  readonly max: number
  readonly otherwise: number
}

/** A whole number of a body's member. */
export const readNumber = (given: unknown, name: string, { max, min, otherwise }: Bounds): number | Problem =>
  given === undefined
    ? otherwise
    : Number.isInteger(given) && (given as number) >= min && (given as number) <= max
      ? (given as number)
      : badRequest("bad_member", `${name} must be a whole number of milliseconds from ${min} to ${max}`)

export const readTrace = (given: unknown): string | null | Problem =>
  given === undefined
    ? null
    : (asTraceparent(given) ?? badRequest("bad_member", "traceparent must be one of W3C Trace Context"))
