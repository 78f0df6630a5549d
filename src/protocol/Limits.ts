/** Sizes are UTF-8 bytes of the decoded text, counts are elements. One table for server and clients (docs/protocol.md). */

/** A frame on a socket that has not registered anybody yet. */
export const UNREGISTERED_FRAME = 64 * 1024
/** Default of TRAILS_MAX_FRAME. */
export const DEFAULT_MAX_FRAME = 1024 * 1024
/** Nesting of arrays and objects; the frame's own braces count as 1. */
export const DEPTH = 32
/** Members of a frame or of one of its protocol objects. */
export const MEMBERS = 64

/** The JSON text of an envelope: with base64 it still fits into a `register` frame before registration. */
export const ENVELOPE = 32 * 1024
export const INFO = Math.ceil(ENVELOPE / 3) * 4
/** Of `tags`, `grants` and `originator` each, as they stand in the envelope. */
export const ENVELOPE_OBJECT = 16 * 1024

export const APP_NAME = 256
export const NAMESPACE = 128
export const URL_LENGTH = 2048
export const ROLE_REFS = 64
export const GRANTS = 64
export const CAPABILITIES = 128
/** A role ref, a capability, a user, host or node name, an address. */
export const NAME = 256
export const PATH = 4096
export const REASON = 1024
export const CORRELATION_ID = 256
export const CURSOR = 256
export const TRACESTATE = 2048
/** A legacy client's key: opaque text. */
export const LEGACY_KEY = 256

/** What a node may say that its cancel hook needs, milliseconds: 7 days. */
export const CANCEL_GRACE = 7 * 24 * 3_600_000
/** Seconds: 7 days. */
export const START_DEADLINE = 7 * 24 * 3600
/** Seconds, when the envelope and the server name none. */
export const DEFAULT_START_DEADLINE = 300
export const RESTARTS = 1_000_000
/** Ancestors of a node plus itself. */
export const TREE_DEPTH = 64
/** Labels in a NATS subject; deeper nodes keep the first ones. */
export const SUBJECT_LABELS = 12
