import { CliError, EXIT } from "./CliError.ts"
import type { HttpAnswer, HttpFailure } from "./HttpCall.ts"
import { Refusal } from "./Refusal.ts"
import type { ServerPlace } from "./ServerPlace.ts"

const NAMED: Readonly<Record<ServerPlace["source"], string>> = {
  "--server": "from --server",
  TRAILS_SERVER: "from TRAILS_SERVER",
  context: "from the context in use, trails context",
  TRAILS_INFO: "from TRAILS_INFO",
  default: "the default"
}

/** The address, and why it is this one. */
export const placeText = (place: ServerPlace): string => `${place.url} (${NAMED[place.source]})`

const START = "Start it with npm start, or name another one by --server or TRAILS_SERVER."

const away = (message: string, remedy: string = START) => new CliError(message, EXIT.unavailable, remedy)

const TLS = /CERT|SELF_SIGNED|ALTNAME|ISSUER|SIGNATURE_FAILURE/
const NOT_TLS = /EPROTO|ERR_SSL/

const LOST: ReadonlySet<string> = new Set(["ABORTED", "ECONNABORTED", "ECONNRESET", "EPIPE", "ETIMEDOUT", "TIMEOUT"])

/** The server may have read the request, and done what it says. */
export const isLost = ({ code }: HttpFailure): boolean => LOST.has(code)

/** What is printed when no answer came. */
export const unanswered = (place: ServerPlace, failure: HttpFailure): CliError => {
  const at = placeText(place)
  if (failure.code === "ECONNREFUSED") return away(`No server listens at ${at}.`)
  if (TLS.test(failure.code))
    return away(
      `The certificate at ${at} can't be trusted: ${failure.message}.`,
      "If it is yours, name its authority's file by NODE_EXTRA_CA_CERTS."
    )
  if (NOT_TLS.test(failure.code))
    return away(`What answers at ${at} does not speak TLS.`, "Write ws:// or http:// instead of wss:// or https://.")
  if (failure.code.startsWith("HPE_")) return notTrailsd(place, "what answers there is not HTTP")
  return away(`The server at ${at} does not answer: ${failure.message}.`)
}

export const notTrailsd = (place: ServerPlace, why: string): CliError =>
  away(
    `There is no trailsd at ${placeText(place)}: ${why}.`,
    "Check host and port; --server and TRAILS_SERVER take ws://host:8443/ws, http://host:8443 or host:8443."
  )

/** Of an error that trailsd itself answered (RFC 9457). */
export interface Problem {
  readonly status: number
  readonly code: string
  readonly detail: string
}

/** Null when it is no problem of trailsd's. */
export const readProblem = (answer: HttpAnswer): Problem | null => {
  if (answer.headers["content-type"]?.startsWith("application/problem+json") !== true) return null
  try {
    const { code, detail } = JSON.parse(answer.text) as Readonly<Record<string, unknown>>
    return typeof code === "string" && typeof detail === "string" ? { status: answer.status, code, detail } : null
  } catch {
    return null
  }
}

const KEY_REMEDY =
  "Name the file of the administrator's key by TRAILS_ADMIN_KEY_FILE (trailsd keeps it in its data folder as " +
  "admin.key.pem), or in a context: trails context add NAME --server URL --admin-key FILE."

/** `signedBy`: the public key that the request was signed with; null: it was not signed. */
export const refused = (place: ServerPlace, problem: Problem, signedBy: string | null): CliError => {
  const { code, detail, status } = problem
  if (code === "signature_missing")
    return new CliError(
      `The server at ${placeText(place)} wants signed requests, and no key is known for it.`,
      77,
      KEY_REMEDY
    )
  if (code === "key_unknown")
    return new CliError(`The server at ${placeText(place)} does not know the key ${signedBy}.`, 77, KEY_REMEDY)
  if (code === "signature_expired")
    return new CliError(detail, 77, "Set this machine's clock: trails doctor shows the offset.")
  if (status === 401 || status === 403) return new CliError(detail, EXIT.forbidden, null)
  if (status === 503)
    return away(`The server at ${placeText(place)} can't answer now: ${detail}.`, "trails doctor says more.")
  if (status >= 500) return new CliError(detail, EXIT.software, null)
  return new Refusal(
    code,
    detail,
    EXIT.usage,
    status === 404 ? "trails tree shows the newest trees and their ids." : null
  )
}
