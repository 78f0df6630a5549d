import { createHash } from "node:crypto"
import type { IncomingMessage } from "node:http"
import { Clock, Effect } from "effect"
import { nodeEd25519 } from "../../actors/Ed25519.ts"
import { parseUsableKey } from "../../protocol/Keys.ts"
import { Settings } from "../../Settings.ts"
import { AuditLog } from "../../storage/AuditLog.ts"
import { KeyDirectory } from "../../storage/KeyDirectory.ts"
import type { StoreError } from "../../storage/StoreError.ts"
import { Telemetry } from "../../Telemetry.ts"
import { AdminKey } from "../AdminKey.ts"
import { isTrustedLoopback, originProblem } from "../RequestOrigin.ts"
import { checkSignature, keyIdOf, SIGNATURE_WINDOW, type SignedRequest } from "./HttpSignature.ts"
import { Problem } from "./Problem.ts"
import { ADMIN, ANONYMOUS, type Principal, type Route } from "./Route.ts"

/** A nonce is kept until no clock that is off by the window lets its signature pass again. */
const NONCE_MS = 2 * (SIGNATURE_WINDOW + 15) * 1000

/** A request whose headers speak for somebody; `seal` must succeed before anything is done. */
export interface Admitted {
  readonly principal: Principal
  /** Checks the body against the signature, uses the nonce of a `write` up, and writes it to the audit log. */
  readonly seal: (body: Uint8Array) => Effect.Effect<void, Problem | StoreError>
}

export interface Access {
  /** For every request, also those without a principal: the browser rules of PROTOCOL §4. */
  readonly guard: (request: IncomingMessage) => Effect.Effect<void, Problem>
  /** Looks at headers only: nothing is read for, nor written by, a stranger (P16). `guard` comes before it. */
  readonly admit: (request: IncomingMessage, route: Route) => Effect.Effect<Admitted, Problem | StoreError>
}

/**
 * Who may use the REST API (PROTOCOL §9): the administrator's key, in `open` anybody on this machine, and on the routes
 * that say so a node by the key that is bound to it. Deny by default. A stranger's denial is counted and logged, not
 * written: P16. The denial of somebody whose signature holds (a replay, another body) is in the audit log.
 */
export const makeAccess = Effect.gen(function* () {
  const settings = yield* Settings
  const admin = yield* AdminKey
  const audit = yield* AuditLog
  const directory = yield* KeyDirectory
  const telemetry = yield* Telemetry

  const strangers = (request: IncomingMessage, problem: Problem) => {
    telemetry.auditDenies.add(1)
    return Effect.logInfo(`REST request denied: ${problem.code}`).pipe(
      Effect.annotateLogs({ peer: request.socket.remoteAddress ?? "?" }),
      Effect.andThen(Effect.fail(problem))
    )
  }

  /** Who holds this key; null: nobody whom the route is for. A stranger costs one look into an index. */
  const principalOf = Effect.fnUntraced(function* (keyId: string | null, route: Route) {
    if (keyId === admin.publicKey) return ADMIN
    if (keyId === null || route.nodes === undefined || parseUsableKey(keyId) === null) return null
    const holder = yield* directory.holder(keyId)
    return holder === null ? null : { actor: `node:${holder}`, nodeKey: keyId, reason: "node's key" }
  })

  const signed = Effect.fnUntraced(function* (request: IncomingMessage, route: Route) {
    const now = (yield* Clock.currentTimeMillis) / 1000
    const asked: SignedRequest = {
      method: request.method ?? "",
      target: request.url ?? "",
      header: (name) => headerOf(request, name)
    }
    const principal: Principal | null = yield* principalOf(keyIdOf(asked), route)
    const check = checkSignature(asked, {
      authorities: authoritiesOf(request, settings.publicUrl),
      now,
      isKnown: () => principal !== null,
      verify: nodeEd25519.verify
    })
    if (!check.ok) return yield* strangers(request, unauthorized(check.code, check.problem))
    // What verifies is the key that was looked up: there is one signature, and it names its key.
    if (principal === null) return yield* Effect.die(new Error("a signature by nobody was found good"))
    const entry = {
      actor: principal.actor,
      action: `${route.method} ${route.path}`,
      appId: null,
      correlationId: check.nonce,
      data: null
    } as const
    const deny = (problem: Problem) => {
      telemetry.auditDenies.add(1)
      return Effect.andThen(audit.record({ ...entry, decision: "deny", reason: problem.code }), Effect.fail(problem))
    }
    const seal = Effect.fnUntraced(function* (body: Uint8Array) {
      if (!createHash("sha256").update(body).digest().equals(check.sha256)) {
        return yield* deny(unauthorized("digest_mismatch", "Content-Digest is not that of the body that arrived"))
      }
      if (route.access !== "write" && route.access !== "control") return
      // Before the effect, in a transaction of its own. Of a `write` the effect is an actor's; of a `control` it is a row that
      // could be in the same transaction, and is not (ADR 0012). A crash in between loses a call that was never answered, and
      // leaves a nonce that is used up; the other order would let it run twice.
      if (!(yield* audit.useNonce(check.keyId, check.nonce, NONCE_MS))) {
        return yield* deny(unauthorized("nonce_used", "This signature was used before; sign again with a new nonce"))
      }
      if (route.access === "write") yield* audit.record({ ...entry, decision: "allow", reason: principal.reason })
    })
    return { principal, seal } satisfies Admitted
  })

  const unsigned = (request: IncomingMessage, route: Route): Effect.Effect<Admitted, Problem> => {
    if (settings.minLevel !== "open" || !isTrustedLoopback(request, settings)) {
      return strangers(request, unauthorized("signature_missing", whyUnsigned(settings.minLevel === "open")))
    }
    const action = `${route.method} ${route.path}`
    const seal = (): Effect.Effect<void, StoreError> =>
      route.access === "write"
        ? audit.record({
            actor: ANONYMOUS.actor,
            action,
            appId: null,
            decision: "allow",
            reason: ANONYMOUS.reason,
            correlationId: null,
            data: null
          })
        : Effect.void
    return Effect.succeed({ principal: ANONYMOUS, seal })
  }

  const guard = (request: IncomingMessage): Effect.Effect<void, Problem> => {
    const origin = originProblem(request, settings)
    if (origin === null) return Effect.void
    return strangers(
      request,
      new Problem({
        status: origin.status,
        code: origin.status === 403 ? "origin_refused" : "misdirected",
        detail: origin.message
      })
    )
  }

  const admit = (request: IncomingMessage, route: Route): Effect.Effect<Admitted, Problem | StoreError> => {
    const claims = request.headers["signature-input"] !== undefined || request.headers.signature !== undefined
    return claims ? signed(request, route) : unsigned(request, route)
  }
  return { guard, admit } satisfies Access
})

const unauthorized = (code: string, detail: string): Problem =>
  new Problem({ status: 401, code, detail, headers: { "www-authenticate": 'Signature realm="trails"' } })

const whyUnsigned = (open: boolean): string =>
  "Sign the request with the administrator's key by RFC 9421 (Signature-Input, Signature, Content-Digest); " +
  (open
    ? "unsigned requests are accepted only from this machine, without a proxy in between"
    : "unsigned requests are accepted only at level open")

/** All values of a header as RFC 9421 §2.1 combines them; Node's own joining differs from header to header. */
const headerOf = (request: IncomingMessage, name: string): string | null =>
  request.headersDistinct[name]?.map((value) => value.trim()).join(", ") ?? null

/**
 * The names under which this request may have been signed: TRAILS_PUBLIC_URL, and `Host` when it is the address that
 * the client's connection ends at, or a loopback name of it. Any other name could be another server's, whose recorded
 * requests must not pass here.
 */
export const authoritiesOf = (request: IncomingMessage, publicUrl: string | null): ReadonlyArray<string> => {
  const { encrypted, localAddress, localPort } = request.socket as IncomingMessage["socket"] & { encrypted?: boolean }
  const names: Array<string> = publicUrl === null ? [] : [new URL(publicUrl).host]
  const scheme = encrypted === true ? "https" : "http"
  const address = (localAddress ?? "").replace(/^::ffff:/, "")
  const own = [address.includes(":") ? `[${address}]` : address]
  if (/^127\.|^::1$/.test(address)) own.push("localhost", "127.0.0.1", "[::1]")
  const host = request.headers.host ?? ""
  const authority =
    /^[\w.:[\]-]+$/.test(host) && URL.canParse(`${scheme}://${host}`) ? new URL(`${scheme}://${host}`).host : ""
  if (own.some((name) => new URL(`${scheme}://${name}:${localPort}`).host === authority)) names.push(authority)
  return [...new Set(names)]
}
