import type { Level } from "../../src/protocol/Frames.ts"
import type { Keypair } from "./Keypair.ts"
import { RawNode, type RawNodeOptions } from "./RawNode.ts"
import { type EnvelopeFields, makeEnvelope } from "./TestEnvelope.ts"
import type { ServerAddress } from "./Trailsd.ts"
import { Wire, type WireOptions } from "./Wire.ts"

export type NodeFields = Partial<EnvelopeFields> & { readonly level?: Level }

const fieldsFor = (server: ServerAddress, fields: NodeFields): EnvelopeFields => ({
  serverEp: server.url,
  serverPubKey: server.serverKey.text,
  secLevel: fields.level ?? "open",
  ...fields
})

const optionsFor = (server: ServerAddress, options: RawNodeOptions): RawNodeOptions => ({
  serverKey: server.serverKey.text,
  ...options
})

/** A root; above `open` with a ticket by the server key, which the harness holds. */
export const rootOf = (server: ServerAddress, fields: NodeFields = {}, options: RawNodeOptions = {}): RawNode => {
  const issuer = (fields.level ?? "open") === "open" ? null : server.serverKey
  return new RawNode(
    makeEnvelope(fieldsFor(server, { appName: "root", ...fields }), issuer),
    optionsFor(server, options)
  )
}

/** A child with a ticket by its parent's key; `issuer` null leaves the ticket out. */
export const childOf = (
  server: ServerAddress,
  parent: RawNode,
  fields: NodeFields = {},
  options: RawNodeOptions = {},
  issuer: Keypair | null = parent.keys
): RawNode => {
  const inherited = { appName: "child", parentId: parent.appId, level: parent.level, ...fields }
  return new RawNode(makeEnvelope(fieldsFor(server, inherited), issuer), optionsFor(server, options))
}

/** A socket to the server that verifies what is signed. */
export const dial = (server: ServerAddress, options: WireOptions = {}): Promise<Wire> =>
  Wire.open(server.url, { pinned: server.serverKey.publicKey, ...options })

/** Connects and registers in one go. */
export const attach = async (server: ServerAddress, node: RawNode): Promise<Wire> => {
  const wire = await dial(server)
  await node.register(wire)
  return wire
}
