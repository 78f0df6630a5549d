import type { SettingsShape } from "./Settings.ts"
import {
  parseAdmission,
  parseCount,
  parseBoolean,
  parseDuration,
  parseHttpUrl,
  parseInstance,
  parseLevel,
  parseListen,
  parseLogLevel,
  parseOrigins,
  parsePath,
  parsePostgresUrl,
  parseNatsUrl,
  parseSize,
  type Parsed
} from "./SettingsValue.ts"

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE
const MIB = 1024 * 1024

/** One setting: the README's table and `trailsd --help` are made of these. */
export interface SettingField<A> {
  readonly env: string
  /** What it is, one line. */
  readonly doc: string
  /** As an operator would write it, or a phrase in brackets when there is no fixed value. */
  readonly byDefault: string
  /** `seconds` stands for every duration: a number of seconds, or with a unit. */
  readonly unit: "" | "seconds" | "bytes"
  readonly secret: boolean
  readonly parse: (text: string) => Parsed<A>
}

const field = <A>(
  env: string,
  byDefault: string,
  unit: SettingField<A>["unit"],
  doc: string,
  parse: (text: string) => Parsed<A>,
  secret = false
): SettingField<A> => ({ env, doc, byDefault, unit, secret, parse })

const text = (value: string): Parsed<string> => ({ ok: true, value })

/** Every setting of trailsd by its environment variable (PROTOCOL §13), in the order of the README. */
export const settingsTable = {
  listen: field("LISTEN_ADDR", "127.0.0.1:8443", "", "Address and port to listen on.", parseListen),
  dataDir: field(
    "TRAILS_DATA_DIR",
    "./.trailsd",
    "",
    "Folder for embedded data, generated keys and the lock.",
    parsePath
  ),
  databaseUrl: field(
    "DATABASE_URL",
    "(embedded)",
    "",
    "Postgres 15 or newer; without it an embedded database in the data folder.",
    parsePostgresUrl,
    true
  ),
  minLevel: field(
    "TRAILS_MIN_LEVEL",
    "(open on loopback, else signed)",
    "",
    "Weakest security level accepted: open or signed.",
    parseLevel
  ),
  admission: field(
    "TRAILS_ADMISSION",
    "(open when the level is open, else ticket)",
    "",
    "Who may register: open (anybody), declared (the parent said so before), ticket (signed by the parent).",
    parseAdmission
  ),
  tlsCertFile: field(
    "TRAILS_TLS_CERT_FILE",
    "(no TLS)",
    "",
    "Certificate chain, PEM; turns on https and wss.",
    parsePath
  ),
  tlsKeyFile: field("TRAILS_TLS_KEY_FILE", "(no TLS)", "", "Private key of the certificate, PEM.", parsePath),
  publicUrl: field(
    "TRAILS_PUBLIC_URL",
    "(the listener)",
    "",
    "How clients reach this server, e.g. https://trails.example.org; behind a proxy signatures are checked against it.",
    parseHttpUrl
  ),
  allowedOrigins: field(
    "TRAILS_ALLOWED_ORIGINS",
    "(none)",
    "",
    "Origins of web pages that may connect, separated by commas.",
    parseOrigins
  ),
  serverKey: field(
    "TRAILS_SERVER_KEY",
    "(generated)",
    "",
    "The server's Ed25519 key itself: PKCS8 PEM or ed25519-seed:<base64>. Prefer the file.",
    text,
    true
  ),
  serverKeyFile: field(
    "TRAILS_SERVER_KEY_FILE",
    "(generated in the data folder)",
    "",
    "File with the server's Ed25519 key.",
    parsePath
  ),
  adminKeyFile: field(
    "TRAILS_ADMIN_KEY_FILE",
    "(generated in the data folder)",
    "",
    "File with the administrator's Ed25519 key.",
    parsePath
  ),
  instance: field("SERVER_INSTANCE", "(host name)", "", "Display name of this replica.", parseInstance),
  defaultStartDeadline: field(
    "DEFAULT_START_DEADLINE",
    "300",
    "seconds",
    "Time a node has to start when its envelope names none; 0 = no limit, at most 7 days.",
    parseDuration(0, 7 * DAY)
  ),
  disconnectGrace: field(
    "DISCONNECT_GRACE",
    "1500ms",
    "seconds",
    "Time a node has to come back after its socket was lost, before it is crashed.",
    parseDuration(0, 60 * MINUTE)
  ),
  reconnectWindow: field(
    "RECONNECT_WINDOW",
    "60",
    "seconds",
    "Time a node has to come back after the server closed its socket or a replica died, before contact is lost.",
    parseDuration(1000, DAY)
  ),
  replicaLease: field(
    "REPLICA_LEASE",
    "15",
    "seconds",
    "Time after which a replica that has not been heard of is taken for dead; the same on all of them.",
    parseDuration(1000, 60 * MINUTE)
  ),
  drainDelay: field(
    "DRAIN_DELAY",
    "(0; with NATS_URL 2)",
    "seconds",
    "At a stop, how long everything is still served while /readyz says no already, for a load balancer to notice.",
    parseDuration(0, 5 * MINUTE)
  ),
  pingInterval: field(
    "TRAILS_PING_INTERVAL",
    "30",
    "seconds",
    "How often idle sessions are pinged; 0 = never.",
    parseDuration(0, 60 * MINUTE)
  ),
  maxFrame: field(
    "TRAILS_MAX_FRAME",
    "1MiB",
    "bytes",
    "Largest frame of a registered node, 64KiB to 16MiB.",
    parseSize(64 * 1024, 16 * 1024 * 1024)
  ),
  logLevel: field("TRAILS_LOG", "info", "", "debug, info, warn or error; lines go to stderr.", parseLogLevel),
  natsUrl: field(
    "NATS_URL",
    "(single replica)",
    "",
    "nats-servers that the replicas share, separated by commas: nats://user:password@host:4222; tls:// asks for TLS.",
    parseNatsUrl,
    true
  ),
  natsCredsFile: field(
    "NATS_CREDS_FILE",
    "(none)",
    "",
    "Credentials file (JWT and nkey seed) for NATS, instead of a user in NATS_URL.",
    parsePath
  ),
  natsAnyVersion: field(
    "NATS_ANY_VERSION",
    "false",
    "",
    "true: also use nats-servers older than 2.11.16, 2.12.7 or 2.14, for tests.",
    parseBoolean
  ),
  eventsMaxAge: field(
    "TRAILS_EVENTS_MAX_AGE",
    "7d",
    "seconds",
    "How long the stream of tree events keeps one; 0 = for ever.",
    parseDuration(0, 3650 * DAY)
  ),
  eventsMaxBytes: field(
    "TRAILS_EVENTS_MAX_BYTES",
    "1024MiB",
    "bytes",
    "How large that stream may grow before its oldest events go, at least 64MiB.",
    parseSize(64 * MIB, 1024 * 1024 * MIB)
  ),
  eventsDedupe: field(
    "TRAILS_EVENTS_DEDUPE",
    "2m",
    "seconds",
    "How long JetStream remembers an event's id: one that is published twice within it is stored once; at least 10s.",
    parseDuration(10_000, DAY)
  ),
  eventsReplicas: field(
    "TRAILS_EVENTS_REPLICAS",
    "(3 in a cluster of nats-servers, else 1)",
    "",
    "Copies of that stream, 1 to 5.",
    parseCount(1, 5)
  )
} as const

/** What the table gives before defaults that depend on other settings are put in. */
export type RawSettings = {
  readonly [K in keyof typeof settingsTable]: (typeof settingsTable)[K] extends SettingField<infer A> ? A | null : never
}

/** Keeps the table and the decoded shape in step: every key of `SettingsShape` but the derived ones has a row. */
export type UntabledSetting = Exclude<
  keyof SettingsShape,
  keyof typeof settingsTable | "tls" | "nats" | "events" | "loopback"
>
