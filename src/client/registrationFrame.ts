import type { ClientFrame } from "../protocol/Frames.ts"
import type { Advertisement } from "./Advertisement.ts"
import type { Identity } from "./Identity.ts"
import type { Platform } from "./Platform.ts"

/** What a registration says beside who asks. */
export interface RegistrationTerms {
  readonly nonce: string
  readonly clientNonce: string
  /** Null: this node has had no session yet. */
  readonly incarnation: number | null
  readonly lastAcked: number
  readonly advertisement: Advertisement
  /** Null: as the server likes it. */
  readonly pingIntervalMs: number | null
}

/** `register`, or `re_register` for a node that the server knows (PROTOCOL §3, §4). */
export const registrationFrame = (platform: Platform, identity: Identity, terms: RegistrationTerms): ClientFrame => {
  const { envelope, info, publicKey, startDay, target } = identity
  const { advertisement, clientNonce, incarnation, lastAcked, nonce, pingIntervalMs } = terms
  const common = {
    nonce,
    client_nonce: clientNonce,
    ...(target.serverKey === null ? {} : { server_key: target.serverKey }),
    app_id: envelope.appId
  }
  if (incarnation !== null)
    return { type: "re_register", ...common, incarnation, last_seq: lastAcked, pub_key: publicKey }
  return {
    type: "register",
    ...common,
    parent_id: envelope.parentId,
    app_name: envelope.appName,
    child_pub_key: publicKey,
    process_info: platform.processInfo(),
    role_refs: envelope.roleRefs,
    start_day: startDay,
    info,
    ...advertisement.register(),
    ...(pingIntervalMs === null ? {} : { ping_interval_ms: pingIntervalMs })
  }
}
