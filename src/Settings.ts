import { Context, type Redacted } from "effect"
import type { Level } from "./protocol/Frames.ts"

/** Every setting of trailsd, decoded (PROTOCOL §13). Durations are milliseconds, sizes bytes. */
export interface SettingsShape {
  readonly databaseUrl: Redacted.Redacted<string> | null
  readonly natsUrl: Redacted.Redacted<string> | null
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
  readonly pingInterval: number
  readonly maxFrame: number
  readonly logLevel: "debug" | "info" | "warn" | "error"
  /** The listener is bound to loopback: unsigned REST in `open`, PROTOCOL §4 and §9. */
  readonly loopback: boolean
}

export class Settings extends Context.Service<Settings, SettingsShape>()("trails/Settings") {}
