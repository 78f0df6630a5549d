import { randomUUID } from "node:crypto"
import type { Level } from "../../src/protocol/Frames.ts"
import { type Keypair, seal } from "./Keypair.ts"

export interface EnvelopeFields {
  readonly appId?: string
  readonly parentId?: string | null
  readonly appName?: string
  readonly serverEp: string
  readonly serverPubKey?: string | null
  readonly secLevel?: Level
  readonly scheduledAt?: number
  readonly startDeadline?: number
  readonly namespace?: string
  readonly tags?: Readonly<Record<string, unknown>>
  readonly supervision?: Readonly<Record<string, unknown>>
  readonly childKey?: string
  /** Members beyond these, for tests of what is refused or ignored. */
  readonly extra?: Readonly<Record<string, unknown>>
}

export interface TestEnvelope {
  readonly appId: string
  readonly parentId: string | null
  readonly appName: string
  readonly level: Level
  readonly scheduledAt: number
  /** Value of TRAILS_INFO. */
  readonly info: string
}

/** An envelope (PROTOCOL §2), with a ticket by `issuer` as its last member when one is given (§5). */
export const makeEnvelope = (fields: EnvelopeFields, issuer: Keypair | null): TestEnvelope => {
  const envelope = {
    appId: fields.appId ?? randomUUID(),
    parentId: fields.parentId ?? null,
    appName: fields.appName ?? "node",
    level: fields.secLevel ?? "open",
    scheduledAt: fields.scheduledAt ?? Date.now()
  }
  const json = JSON.stringify({
    v: 1,
    mode: "full",
    appId: envelope.appId,
    parentId: envelope.parentId,
    appName: envelope.appName,
    serverEp: fields.serverEp,
    ...(fields.serverPubKey ? { serverPubKey: fields.serverPubKey } : {}),
    secLevel: envelope.level,
    scheduledAt: envelope.scheduledAt,
    startDeadline: fields.startDeadline ?? 300,
    ...(fields.namespace === undefined ? {} : { namespace: fields.namespace }),
    ...(fields.tags === undefined ? {} : { tags: fields.tags }),
    ...(fields.supervision === undefined ? {} : { supervision: fields.supervision }),
    ...(fields.childKey === undefined ? {} : { childKey: fields.childKey }),
    ...fields.extra
  })
  const text = issuer === null ? json : seal("trails.v1.ticket", json, issuer.secretKey)
  return { ...envelope, info: Buffer.from(text).toString("base64") }
}

const DAY_ZERO = Date.UTC(2025, 0, 1)

/** PROTOCOL §1. */
export const startDayOf = (scheduledAt: number): number => Math.floor((scheduledAt - DAY_ZERO) / 86_400_000)
