import type { SettingsShape } from "../../Settings.ts"
import type { TelemetryShape } from "../../Telemetry.ts"
import type { AuditLog } from "../../storage/AuditLog.ts"
import type { NodeStore } from "../../storage/NodeStore.ts"
import type { Envelope } from "../../protocol/Envelope.ts"
import type { StorageActor } from "../StorageActor.ts"

/** What the handlers of a node's messages need of the replica. */
export interface NodeEnvironment {
  /** UUID of this boot: the owner of the sessions that it accepts. */
  readonly boot: string
  readonly serverKey: string
  readonly settings: SettingsShape
  readonly store: NodeStore["Service"]
  readonly storage: StorageActor["Service"]
  readonly audit: AuditLog["Service"]
  readonly telemetry: TelemetryShape
  /** Whether the envelope's ticket is signed by one of these keys (PROTOCOL §5). */
  readonly ticketSignedBy: (envelope: Envelope, keys: ReadonlyArray<string>) => boolean
  /** base64 of SHA-256 over the envelope's bytes, ticket included; null without a ticket. */
  readonly ticketHash: (envelope: Envelope) => string | null
  /** Whether one more `impostor` event of this node may be written now: a stranger decides how often it knocks. */
  readonly mayReportImpostor: (appId: string, now: number) => boolean
  readonly newId: () => string
  /** Hints the actor of another node, wherever its owner is, that its row has moved. May be lost: the row is the fact. */
  readonly moved: (appId: string, owner: string | null) => void
}
