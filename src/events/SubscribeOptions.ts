import type { EventFilter } from "./Filters.ts"
import type { BadEvent } from "./ReceivedEvent.ts"
import type { Verifier } from "./Verifier.ts"

export interface SubscribeOptions extends EventFilter {
  /** Of the durable consumer: where it stands outlives this process. Letters, digits, `-` and `_`. */
  readonly name: string
  /** Where a consumer begins that is not there yet; one that is goes on. Default `beginning`: of what the stream keeps. */
  readonly from?: "beginning" | "now" | Date
  /** `auto` (default): acked when the next one is asked for. `manual`: by `event.ack()` alone. */
  readonly ack?: "auto" | "manual"
  /** What is not acked within so long is delivered again. Default 60,000; fixed when the consumer is made. */
  readonly ackWaitMs?: number
  /** Events fetched ahead. Default 64. */
  readonly prefetch?: number
  readonly verifier?: Verifier
  /** Called with what is no event; it is not delivered again. */
  readonly onBad?: (bad: BadEvent) => void
  /** Called with what keeps events from coming, and with `EventsMissed`, for a log; it goes on by itself. */
  readonly onTrouble?: (error: Error) => void
  /** Default `trails`. */
  readonly stream?: string
  /**
   * The consumer was made by somebody else, who says what it holds (deploy/nats.conf: subscribers may make none). It is
   * neither made nor changed; what does not fit the filter is acked and left out.
   */
  readonly existing?: boolean
  /** Where JetStream is asked, for a login of deploy/nats.conf `JS.API`. Default: the connection's own JetStream. */
  readonly apiPrefix?: string
}
