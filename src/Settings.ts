import { Context, type Redacted } from "effect"
import type { Level } from "./protocol/Frames.ts"

/** How trailsd proves who it is to a nats-server: a user with a password, or a token. */
export type NatsLogin = { readonly user: string; readonly password: string } | { readonly token: string }

/** The nats-servers of a deployment, any of which will do. */
export interface NatsSettings {
  readonly servers: ReadonlyArray<{ readonly host: string; readonly port: number }>
  /** Nothing is sent to a server without TLS. */
  readonly tls: boolean
  readonly login: Redacted.Redacted<NatsLogin> | null
  /** A file with a JWT and its nkey seed; read at every connect. */
  readonly credsFile: string | null
  /** Servers older than DESIGN §10 allows are used as well. */
  readonly anyVersion: boolean
}

/** The stream of tree events in JetStream (PROTOCOL §11). */
export interface EventStreamSettings {
  readonly maxAge: number
  readonly maxBytes: number
  /** How long JetStream remembers the ids of events, to drop the ones that come twice. */
  readonly dedupe: number
  /** null: 3 where the servers are a cluster that has room for them, else 1. */
  readonly replicas: number | null
}

/** Every setting of trailsd, decoded (PROTOCOL §13). Durations are milliseconds, sizes bytes. */
export interface SettingsShape {
  readonly databaseUrl: Redacted.Redacted<string> | null
  readonly nats: NatsSettings | null
  readonly events: EventStreamSettings
  readonly listen: { readonly host: string; readonly port: number }
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null
  readonly instance: string
  readonly dataDir: string
  readonly serverKey: Redacted.Redacted<string> | null
  readonly serverKeyFile: string | null
  readonly adminKeyFile: string | null
  readonly minLevel: Level
  readonly admission: "open" | "declared" | "ticket"
  readonly publicUrl: string | null
  readonly allowedOrigins: ReadonlyArray<string>
  /** Seconds; 0 = none. */
  readonly defaultStartDeadline: number
  readonly disconnectGrace: number
  readonly reconnectWindow: number
  readonly replicaLease: number
  readonly drainDelay: number
  readonly pingInterval: number
  readonly maxFrame: number
  readonly logLevel: "debug" | "info" | "warn" | "error"
  /** The listener is bound to loopback: unsigned REST in `open`, PROTOCOL §4 and §9. */
  readonly loopback: boolean
}

export class Settings extends Context.Service<Settings, SettingsShape>()("trails/Settings") {}
