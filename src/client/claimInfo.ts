import { decodeEnvelope, isEnvelopeProblem } from "../protocol/Envelope.ts"
import type { Platform } from "./Platform.ts"

const INFO = "TRAILS_INFO"
const AGENT = "TRAILS_AGENT"

/** The id in the envelope; null when there is none, or it can't be read. */
export const appIdOf = (info: string | undefined): string | null => {
  if (info === undefined || info === "") return null
  const envelope = decodeEnvelope(info)
  return isEnvelopeProblem(envelope) ? null : envelope.appId
}

/**
 * The envelope of this process: `TRAILS_INFO`, unless a `trails run` around it says otherwise. All processes below a run
 * inherit the same `TRAILS_INFO`, and only the first that asks is that node; the others get certificates of their own.
 */
export const claimInfo = async (platform: Platform): Promise<string | undefined> => {
  const info = platform.environment(INFO)?.trim()
  const agent = platform.environment(AGENT)
  if (agent === undefined || agent === "") return info
  try {
    const answer = await platform.askAgent(agent, { op: "claim", appId: appIdOf(info) })
    return answer.ok && "info" in answer && answer.info !== null ? answer.info : info
  } catch {
    // The run is gone, or in another container: what the environment says is all there is.
    return info
  }
}
