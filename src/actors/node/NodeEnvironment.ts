import type { Effect } from "effect"
import type { SettingsShape } from "../../Settings.ts"
import type { TelemetryShape } from "../../Telemetry.ts"
import type { AuditLog } from "../../storage/AuditLog.ts"
import type { CommandRow, CommandStore } from "../../storage/CommandStore.ts"
import type { NodeStore } from "../../storage/NodeStore.ts"
import type { StoreError } from "../../storage/StoreError.ts"
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
  readonly commands: CommandStore["Service"]
  /** What a session is to be told next; questions of many nodes are asked together. */
  readonly openCommands: (appId: string, session: string) => Effect.Effect<ReadonlyArray<CommandRow>, StoreError>
  /** Tells the actor of a node that there is something to be told to its session, behind what waits for it already. */
  readonly commanded: (appId: string) => void
  /** Hints the actor of another node, wherever its owner is, that its row has moved. May be lost: the row is the fact. */
  readonly moved: (appId: string, owner: string | null) => void
}
