import type { Attachment } from "./Attachment.ts"
import type { Outbox } from "./Outbox.ts"
import type { Stats } from "./TrailsNode.ts"

/** `refusal`: why the server will not have this node; null: it has not said so. */
export const statsOf = (
  { attachments, lastReason, state }: Attachment,
  outbox: Outbox,
  refusal: string | null,
  isOver: boolean
): Stats => {
  const isAttached = state === "attached" || state === "draining"
  return {
    state: refusal !== null ? "refused" : isOver ? "ended" : isAttached ? "attached" : "connecting",
    reason: isAttached ? null : (refusal ?? lastReason),
    waiting: outbox.size,
    acked: outbox.acked,
    dropped: outbox.dropped,
    refused: outbox.refused,
    reconnects: Math.max(0, attachments - 1)
  }
}
