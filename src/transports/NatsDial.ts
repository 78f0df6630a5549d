import { readFile } from "node:fs/promises"
import {
  type Authenticator,
  type ConnectionOptions,
  connect,
  credsAuthenticator,
  errors,
  type NatsConnection
} from "@nats-io/transport-node"
import { Effect, Random, Redacted } from "effect"
import type { NatsSettings } from "../Settings.ts"
import { NatsError } from "./NatsError.ts"
import { natsGreeting, type NatsGreeting } from "./NatsGreeting.ts"
import { isGoodNatsVersion } from "./NatsVersion.ts"

type Server = NatsSettings["servers"][number]

/** Below trailsd's own subjects: whoever may not read those reads no answer meant for a replica either. */
const INBOX_PREFIX = "_trails.inbox"
/** Beyond the life of any connection: the client's own pulse can't close a connection that takes no bytes; ours can. */
const NEVER_MS = 2 ** 31 - 1
/** Servers named in one line of trouble. */
const MAX_NAMED = 4
const MAX_TEXT = 300

const place = ({ host, port }: Server): string => `${host.includes(":") ? `[${host}]` : host}:${port}`

/** Everything of the login that must not be read anywhere. */
const secretsOf = ({ login }: NatsSettings): ReadonlyArray<string> => {
  if (login === null) return []
  const value = Redacted.value(login)
  return "token" in value ? [value.token] : [value.password]
}

/** What the client or a server says, on one line and without the login: none of them promises to leave it out. */
export const natsText = (error: unknown, nats: NatsSettings): string => {
  const text = error instanceof Error ? error.message : String(error)
  const hidden = secretsOf(nats).reduce((said, secret) => said.replaceAll(secret, "***"), text)
  return hidden.replace(/[^\x20-\x7e]+/g, " ").slice(0, MAX_TEXT)
}

const refusal = ({ name, version }: NatsGreeting, server: Server): NatsError =>
  new NatsError({
    reason: "Refused",
    message:
      `the nats-server ${name} at ${place(server)} has version ${version}, and trailsd needs 2.11.16, 2.12.7, ` +
      "2.14 or later of these lines: install one of them, or set NATS_ANY_VERSION=true where nothing depends on NATS"
  })

const isRefused = (greeting: NatsGreeting, nats: NatsSettings): boolean =>
  !nats.anyVersion && !isGoodNatsVersion(greeting.version)

export const greetingOf = (connection: NatsConnection): NatsGreeting => ({
  version: connection.info?.version ?? "unknown",
  name: connection.info?.server_name ?? "unknown"
})

const credentialsError = (path: string, what: string) =>
  new NatsError({ reason: "Credentials", message: `NATS_CREDS_FILE=${path} ${what}` })

/** The file is read each time, so that one that was renewed is used from the next connect on. */
const fileAuthenticator = (path: string): Effect.Effect<Authenticator, NatsError> =>
  Effect.tryPromise({
    try: () => readFile(path),
    catch: () => credentialsError(path, "can't be read: check the path and its permissions")
  }).pipe(
    Effect.flatMap((content) =>
      Effect.try({
        try: () => {
          const authenticator = credsAuthenticator(content)
          // Parsed only when it is used: where the client does that it fails without a word.
          authenticator("nonce")
          return authenticator
        },
        catch: () => credentialsError(path, "does not hold a JWT and a seed: make it anew, e.g. with nsc")
      })
    )
  )

const loginOptions = (nats: NatsSettings): Effect.Effect<Partial<ConnectionOptions>, NatsError> => {
  if (nats.credsFile !== null)
    return Effect.map(fileAuthenticator(nats.credsFile), (authenticator) => ({ authenticator }))
  if (nats.login === null) return Effect.succeed({})
  const login = Redacted.value(nats.login)
  return Effect.succeed("token" in login ? { token: login.token } : { user: login.user, pass: login.password })
}

export interface DialLimits {
  readonly firstLookMs: number
  readonly connectMs: number
}

/** One server: its greeting is looked at before the login is sent, and again where a name leads to several machines. */
const dial = Effect.fnUntraced(function* (server: Server, nats: NatsSettings, name: string, limits: DialLimits) {
  const greeting = yield* natsGreeting(server, limits.connectMs)
  if (isRefused(greeting, nats)) return yield* refusal(greeting, server)
  const login = yield* loginOptions(nats)
  const connection = yield* Effect.tryPromise({
    try: async (signal) => {
      const made = await connect({
        ...login,
        servers: [place(server)],
        name,
        ...(nats.tls ? { tls: {} } : {}),
        timeout: limits.connectMs,
        // A reconnect of the client keeps what is published meanwhile, without end, and asks nobody about versions.
        reconnect: false,
        ignoreClusterUpdates: true,
        noEcho: true,
        inboxPrefix: INBOX_PREFIX,
        pingInterval: NEVER_MS
      })
      if (signal.aborted) void made.close()
      return made
    },
    catch: (error) =>
      new NatsError({
        reason: error instanceof errors.AuthorizationError ? "Denied" : "Away",
        message:
          error instanceof errors.AuthorizationError
            ? "does not accept the login: check NATS_URL or NATS_CREDS_FILE"
            : natsText(error, nats)
      })
  })
  const met = greetingOf(connection)
  if (!isRefused(met, nats)) return connection
  yield* Effect.promise(() => connection.close())
  return yield* refusal(met, server)
})

/** What an operator has to do something about comes first. */
const URGENCY: ReadonlyArray<NatsError["reason"]> = ["Credentials", "Refused", "Denied", "Away"]

const together = (problems: ReadonlyArray<readonly [Server, NatsError]>): NatsError => {
  const reason = URGENCY.find((urgent) => problems.some(([, problem]) => problem.reason === urgent)) ?? "Away"
  const lines = problems
    .filter(([, problem]) => problem.reason === reason)
    .map(([server, { message }]) =>
      reason === "Credentials" || reason === "Refused" ? message : `${place(server)} ${message}`
    )
  const more = lines.length > MAX_NAMED ? `; and ${lines.length - MAX_NAMED} more` : ""
  return new NatsError({ reason, message: [...new Set(lines)].slice(0, MAX_NAMED).join("; ") + more })
}

/** The first server that takes this replica, tried one after the other in an order drawn anew. */
export const dialAny = Effect.fnUntraced(function* (nats: NatsSettings, name: string, limits: DialLimits) {
  const problems: Array<readonly [Server, NatsError]> = []
  for (const server of yield* Random.shuffle(nats.servers)) {
    const tried = yield* Effect.result(dial(server, nats, name, limits))
    if (tried._tag === "Success") return tried.success
    problems.push([server, tried.failure])
  }
  return yield* together(problems)
})

/** Fails where the setting can't be right: useless credentials, or servers that answer, and none that may be used. */
export const firstLook = Effect.fnUntraced(function* (nats: NatsSettings, limits: DialLimits) {
  yield* loginOptions(nats)
  const answers = yield* Effect.forEach(
    nats.servers,
    (server) =>
      natsGreeting(server, limits.firstLookMs).pipe(
        Effect.map((greeting) => ({ server, greeting })),
        Effect.orElseSucceed(() => null)
      ),
    { concurrency: "unbounded" }
  )
  const answered = answers.filter((answer) => answer !== null)
  const refused = answered.filter(({ greeting }) => isRefused(greeting, nats))
  if (refused.length === 0 || refused.length < answered.length) return
  return yield* together(refused.map(({ greeting, server }) => [server, refusal(greeting, server)] as const))
})
