import type { Deferred } from "effect"
import type {
  CapabilitiesFrame,
  ControlResultFrame,
  Decoded,
  DisconnectFrame,
  ErrorFrame,
  Level,
  MessageFrame,
  RegisterFrame,
  ReRegisterFrame
} from "../protocol/Frames.ts"
import type { Envelope } from "../protocol/Envelope.ts"
import type { LossCause, SessionPort } from "./SessionPort.ts"

/** Answer to a registration. `registered` has been sent to the session already when it is accepted. */
export type Admission =
  | {
      readonly _tag: "Accepted"
      readonly epoch: number
      readonly incarnation: number
      readonly level: Level
      readonly only: "cancel" | null
    }
  | { readonly _tag: "Rejected"; readonly error: ErrorFrame }

/** Answer to a declaration or the deletion of an intent. */
export type IntentAnswer =
  | { readonly _tag: "Done"; readonly appId: string; readonly created: boolean }
  | { readonly _tag: "Rejected"; readonly error: ErrorFrame }

/** Who declares: a parent in its session, or a principal over REST. */
export interface Declarer {
  readonly actor: string
  /** The parent whose session it is; null for an admin. */
  readonly nodeId: string | null
}

/**
 * What a node's actor understands. Transport has verified the signature (under the frame's own key for registrations,
 * under the session's key for the rest), nonce, server key and level floor before anything arrives here.
 */
export type NodeMessage =
  | {
      readonly _tag: "Register"
      readonly session: SessionPort
      readonly decoded: Decoded<RegisterFrame>
      /** False in `open` and for legacy clients: the key is then opaque text that protects nobody (PROTOCOL §3). */
      readonly verified: boolean
      /** The weakest level that may register by this connection: the server's minimum, or more behind a proxy. */
      readonly floor: Level
      /** Decoded from `frame.info`; null when absent. */
      readonly envelope: Envelope | null
      readonly reply: Deferred.Deferred<Admission>
    }
  | {
      readonly _tag: "ReRegister"
      readonly session: SessionPort
      readonly decoded: Decoded<ReRegisterFrame>
      readonly verified: boolean
      readonly floor: Level
      readonly reply: Deferred.Deferred<Admission>
    }
  | { readonly _tag: "Data"; readonly session: SessionPort; readonly decoded: Decoded<MessageFrame | DisconnectFrame> }
  | { readonly _tag: "ControlResult"; readonly session: SessionPort; readonly decoded: Decoded<ControlResultFrame> }
  | { readonly _tag: "Capabilities"; readonly session: SessionPort; readonly decoded: Decoded<CapabilitiesFrame> }
  | { readonly _tag: "SocketLost"; readonly session: SessionPort; readonly cause: LossCause }
  | {
      readonly _tag: "Declare"
      readonly envelope: Envelope
      readonly info: string
      readonly replaces: string | null
      readonly by: Declarer
      readonly reply: Deferred.Deferred<IntentAnswer>
    }
  | { readonly _tag: "DeleteIntent"; readonly by: Declarer; readonly reply: Deferred.Deferred<IntentAnswer> }
  /** The node's `state_deadline_at` has passed, says the sweep: a hint, the row decides. */
  | { readonly _tag: "Deadline" }
  /** The owner's lease has expired, says the reaper: a hint, the row decides. */
  | { readonly _tag: "Orphaned"; readonly owner: string | null }
  /** Somebody moved the node's row by right (superseded, a cascade): a hint, the row decides. */
  | { readonly _tag: "Moved" }
  /** There is a command for the node: a hint, the queue decides. `epoch`: the one under which the sender has seen its row. */
  | { readonly _tag: "Commanded"; readonly epoch?: number }
