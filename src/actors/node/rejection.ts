import { TREE_DEPTH } from "../../protocol/Limits.ts"
import type { ErrorCode, ErrorFrame } from "../../protocol/Frames.ts"

/** How long a child whose parent is not known yet should wait before it tries again, milliseconds. */
export const PARENT_RETRY_MS = 500

export const TOO_DEEP = `a tree is at most ${TREE_DEPTH} nodes deep`

/** A refusal as the `error` frame that tells it (PROTOCOL §3). */
export const rejection = (
  appId: string,
  code: ErrorCode,
  message: string,
  retryAfterMs?: number,
  seq?: number
): ErrorFrame => ({
  type: "error",
  code,
  message,
  app_id: appId,
  ...(seq === undefined ? {} : { seq }),
  retryable: retryAfterMs !== undefined,
  ...(retryAfterMs === undefined ? {} : { retry_after_ms: retryAfterMs })
})
