import { JetStreamApiError } from "@nats-io/jetstream"
import { errors } from "@nats-io/transport-node"
import { type Fate, OutletAway } from "../supervision/EventOutlet.ts"

/** `err_code`s of nats-server: what stands last is not what was expected there. */
const MISPLACED = new Set([10070, 10071, 10164])
/** Larger than the stream's `max_msg_size`, or than a server takes in headers: the event's own fault. */
const UNFIT = new Set([10054, 10097])
const NO_SPACE = 10047
const SUBJECTS_OVERLAP = 10065
/** No peers, or none without the stream; no cluster. */
const TOO_MANY_COPIES = new Set([10005, 10074])
const ANOTHER_STREAM = 10060

const MAX_TEXT = 300

const textOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replace(/[^\x20-\x7e]+/g, " ").slice(0, MAX_TEXT)

/** Nobody answers for the stream, or for JetStream at all. The client does not export the class. */
const isNotEnabled = (error: unknown): boolean => error instanceof Error && error.name === "JetStreamNotEnabled"

const NO_JETSTREAM =
  "the NATS servers have no JetStream for this account: start them with JetStream on (deploy/nats.conf does)"

/** What a publish that was not acknowledged says about the event. Whatever is not known to be its own fault is not. */
export const fateOf = (error: unknown): Fate => {
  if (error instanceof JetStreamApiError) {
    if (MISPLACED.has(error.code)) return { _tag: "misplaced" }
    if (UNFIT.has(error.code)) return { _tag: "unfit", why: textOf(error) }
  }
  // By the client, before anything was sent: more than `max_payload`.
  if (error instanceof errors.InvalidArgumentError) return { _tag: "unfit", why: textOf(error) }
  return {
    _tag: "unknown",
    why: isNotEnabled(error) ? "the stream does not answer" : textOf(error)
  }
}

/** Why there is no stream to publish to. */
export const outletAway = (error: unknown): OutletAway => {
  if (isNotEnabled(error)) return new OutletAway({ reason: "no_jetstream", message: NO_JETSTREAM })
  if (error instanceof errors.PermissionViolationError) {
    return new OutletAway({
      reason: "refused",
      message: `this login may not do that (deploy/nats.conf shows what it needs): ${textOf(error)}`
    })
  }
  if (!(error instanceof JetStreamApiError)) return new OutletAway({ reason: "away", message: textOf(error) })
  // 5xx: JetStream is not ready yet, or has no leader.
  const remedy =
    error.code === NO_SPACE
      ? "; lower TRAILS_EVENTS_MAX_BYTES, or give JetStream more room"
      : error.code === SUBJECTS_OVERLAP || error.code === ANOTHER_STREAM
        ? "; no other stream of this account may take subjects below trails."
        : TOO_MANY_COPIES.has(error.code)
          ? "; lower TRAILS_EVENTS_REPLICAS, or have as many nats-servers with JetStream in one cluster"
          : ""
  const reason = error.status >= 500 && remedy === "" ? "away" : "refused"
  return new OutletAway({ reason, message: `JetStream says: ${textOf(error)}${remedy}` })
}
