import { hostname } from "node:os"
import { Config, ConfigProvider, Data, Effect, Layer, Option, Redacted } from "effect"
import { nearestName } from "./protocol/NearestName.ts"
import { type EventStreamSettings, Settings, type SettingsShape } from "./Settings.ts"
import { type RawSettings, type SettingField, settingsTable, type UntabledSetting } from "./SettingsTable.ts"
import { isLoopbackHost } from "./SettingsValue.ts"

export type Environment = Readonly<Record<string, string | undefined>>

/** Exit code of a wrong configuration (sysexits EX_CONFIG). */
export const EX_CONFIG = 78

/** Every problem at once, one line each: the variable, what is wrong, what to do. No line holds a secret. */
export class SettingsError extends Data.TaggedError("SettingsError")<{ readonly problems: ReadonlyArray<string> }> {
  override get message(): string {
    return this.problems.join("\n")
  }
}

/** Variables of other programs of this project: neither settings of trailsd nor typing errors. */
const foreign = ["TRAILS_INFO", "TRAILS_SERVER", "TRAILS_AGENT", "TRAILS_STATUS_FD"]

const everyShapeKeyHasARow: [UntabledSetting] extends [never] ? true : UntabledSetting = true
void everyShapeKeyHasARow

/**
 * The settings and warnings about variables that look like settings but are none. An empty variable counts as absent,
 * as compose files and charts write it.
 */
export const loadSettings = Effect.fn("Settings.load")(function* (env: Environment) {
  const provider = ConfigProvider.fromEnvRecord(env)
  const problems: Array<string> = []
  const raw: Record<string, unknown> = {}
  for (const [key, row] of Object.entries(settingsTable) as ReadonlyArray<[string, SettingField<unknown>]>) {
    const given = yield* Config.option(Config.Redacted(row.env))
      .parse(provider)
      .pipe(Effect.catchTag("ConfigError", () => Effect.succeed(Option.none<Redacted.Redacted<string>>())))
    raw[key] = null
    if (Option.isNone(given)) continue
    const parsed = row.parse(Redacted.value(given.value).trim())
    if (parsed.ok) raw[key] = parsed.value
    else problems.push(`${row.env}: ${parsed.problem}`)
  }
  const values = raw as unknown as RawSettings
  problems.push(...combinationProblems(values))
  if (problems.length > 0) return yield* new SettingsError({ problems })
  return { settings: withDefaults(values), warnings: [...unknownVariables(env), ...lonely(values)] }
})

/** Settings that contradict each other. Of two readings of an operator's wish neither is guessed. */
const combinationProblems = (raw: RawSettings): ReadonlyArray<string> => {
  const problems: Array<string> = []
  if (raw.tlsCertFile !== null && raw.tlsKeyFile === null) {
    problems.push("TRAILS_TLS_CERT_FILE: needs TRAILS_TLS_KEY_FILE, the private key of the certificate")
  }
  if (raw.tlsKeyFile !== null && raw.tlsCertFile === null) {
    problems.push("TRAILS_TLS_KEY_FILE: needs TRAILS_TLS_CERT_FILE, the certificate of the key")
  }
  if (raw.serverKey !== null && raw.serverKeyFile !== null) {
    problems.push("TRAILS_SERVER_KEY: TRAILS_SERVER_KEY_FILE is set too; unset one of them")
  }
  if (raw.natsCredsFile !== null && raw.natsUrl === null) {
    problems.push("NATS_CREDS_FILE: needs NATS_URL, the servers that it is for")
  }
  if (raw.natsCredsFile !== null && raw.natsUrl !== null && raw.natsUrl.login !== null) {
    problems.push("NATS_CREDS_FILE: NATS_URL names a user too; leave one of them out")
  }
  const { dedupe, maxAge } = eventStream(raw)
  if (maxAge > 0 && dedupe > maxAge) {
    problems.push("TRAILS_EVENTS_DEDUPE: must not be longer than TRAILS_EVENTS_MAX_AGE")
  }
  const { host } = raw.listen ?? defaultListen
  const level = raw.minLevel ?? defaultLevel(host)
  if (level !== "open" && raw.admission === "open") {
    const because = raw.minLevel === null ? `the default on ${host}, which is not loopback` : "set"
    problems.push(
      `TRAILS_ADMISSION: "open" contradicts TRAILS_MIN_LEVEL=${level} (${because}); use "ticket" or "declared", ` +
        "or set TRAILS_MIN_LEVEL=open when anybody who reaches the port may register"
    )
  }
  return problems
}

const defaultListen = { host: "127.0.0.1", port: 8443 }

/** With replicas to go to, and a balancer in front of them that looks about once a second. */
const SHARED_DRAIN_DELAY_MS = 2000

/** An open server beyond loopback must be asked for by name. */
const defaultLevel = (host: string) => (isLoopbackHost(host) ? ("open" as const) : ("signed" as const))

const eventStream = (raw: RawSettings): EventStreamSettings => ({
  maxAge: raw.eventsMaxAge ?? 7 * 24 * 3_600_000,
  maxBytes: raw.eventsMaxBytes ?? 1024 * 1024 * 1024,
  dedupe: raw.eventsDedupe ?? 120_000,
  replicas: raw.eventsReplicas
})

const withDefaults = (raw: RawSettings): SettingsShape => {
  const listen = raw.listen ?? defaultListen
  const minLevel = raw.minLevel ?? defaultLevel(listen.host)
  const redact = (value: string | null) => (value === null ? null : Redacted.make(value))
  return {
    databaseUrl: redact(raw.databaseUrl),
    nats:
      raw.natsUrl === null
        ? null
        : {
            servers: raw.natsUrl.servers,
            tls: raw.natsUrl.tls,
            login: raw.natsUrl.login === null ? null : Redacted.make(raw.natsUrl.login),
            credsFile: raw.natsCredsFile,
            anyVersion: raw.natsAnyVersion ?? false
          },
    events: eventStream(raw),
    listen,
    tls:
      raw.tlsCertFile === null || raw.tlsKeyFile === null
        ? null
        : { certFile: raw.tlsCertFile, keyFile: raw.tlsKeyFile },
    instance: raw.instance ?? hostname(),
    dataDir: raw.dataDir ?? "./.trailsd",
    serverKey: redact(raw.serverKey),
    serverKeyFile: raw.serverKeyFile,
    adminKeyFile: raw.adminKeyFile,
    minLevel,
    admission: raw.admission ?? (minLevel === "open" ? "open" : "ticket"),
    publicUrl: raw.publicUrl,
    allowedOrigins: raw.allowedOrigins ?? [],
    defaultStartDeadline: (raw.defaultStartDeadline ?? 300_000) / 1000,
    disconnectGrace: raw.disconnectGrace ?? 1500,
    reconnectWindow: raw.reconnectWindow ?? 60_000,
    replicaLease: raw.replicaLease ?? 15_000,
    drainDelay: raw.drainDelay ?? (raw.natsUrl === null ? 0 : SHARED_DRAIN_DELAY_MS),
    pingInterval: raw.pingInterval ?? 30_000,
    maxFrame: raw.maxFrame ?? 1024 * 1024,
    logLevel: raw.logLevel ?? "info",
    loopback: isLoopbackHost(listen.host)
  }
}

/** Allowed for a single server whose tree events are to go out. */
const lonely = (raw: RawSettings): ReadonlyArray<string> =>
  raw.natsUrl === null || raw.databaseUrl !== null
    ? []
    : [
        "NATS_URL is set without DATABASE_URL: the tree is stored in this server alone, so that replicas do not share it; " +
          "set DATABASE_URL to run more than one"
      ]

const unknownVariables = (env: Environment): ReadonlyArray<string> => {
  const known = [...Object.values(settingsTable).map((row) => row.env), ...foreign]
  return Object.keys(env)
    .filter((name) => name.startsWith("TRAILS_") && !known.includes(name))
    .map((name) => {
      const near = nearestName(name, known)
      return `${name} is not a setting and is ignored${near === null ? "" : `; did you mean ${near}?`}`
    })
}

/** `Settings` from an environment; fails with every problem at once. */
export const layerSettings = (env: Environment): Layer.Layer<Settings, SettingsError> =>
  Layer.effect(
    Settings,
    Effect.map(loadSettings(env), (loaded) => loaded.settings)
  )
