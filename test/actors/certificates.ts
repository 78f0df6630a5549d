import { createHash } from "node:crypto"
import { nodeEd25519 } from "../../src/actors/Ed25519.ts"
import { encodeEnvelope, encodeInfo, type EnvelopeFields } from "../../src/protocol/Envelope.ts"
import { formatKey } from "../../src/protocol/Keys.ts"
import { issueTicket } from "../../src/protocol/Ticket.ts"

/** A keypair from a name: the same in each run. */
export const keypair = (name: string) => {
  const seed = createHash("sha256").update(name).digest()
  return { seed, key: formatKey(nodeEd25519.publicKey(seed)) }
}

export const SERVER = keypair("server")

const info = (fields: EnvelopeFields, issuer: { readonly seed: Uint8Array } | null): string => {
  const json = encodeEnvelope(fields)
  return encodeInfo(issuer === null ? json : issueTicket(json, issuer.seed, nodeEd25519))
}

/** TRAILS_INFO of a child, ticketed by `issuer` unless null. */
export const childInfo = (
  appId: string,
  parentId: string | null,
  issuer: { readonly seed: Uint8Array } | null,
  patch: Partial<EnvelopeFields> = {}
): string =>
  info(
    {
      appId,
      parentId,
      appName: "child",
      serverEp: "ws://127.0.0.1:8443/ws",
      serverPubKey: SERVER.key,
      secLevel: "signed",
      scheduledAt: Date.now(),
      ...patch
    },
    issuer
  )
