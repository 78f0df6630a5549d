import { createHash } from "node:crypto"
import { Seeded } from "./Seeded.ts"
import { keyText, sealed } from "./Signer.ts"

export interface EnvelopeVector {
  readonly name: string
  /** Value of TRAILS_INFO. */
  readonly info: string
  readonly ok: boolean
  /** What it says, defaults applied. */
  readonly envelope?: Readonly<Record<string, unknown>>
}

export interface TicketVector {
  readonly name: string
  readonly seed: string
  /** The issuer's key that the server knows. */
  readonly key: string
  /** The envelope's JSON without the ticket. */
  readonly message: string
  /** The envelope's JSON as it came. */
  readonly json: string
  readonly valid: boolean
  /** base64 of SHA-256 over `json`. */
  readonly hash: string
}

export interface ChainVector {
  readonly name: string
  readonly root: { readonly appId: string; readonly key: string }
  readonly infos: ReadonlyArray<string>
  readonly ok: boolean
  /** Of good ones: ids root first, and the last node's key. */
  readonly path?: ReadonlyArray<string>
  readonly key?: string
  /** Of bad ones: index of the envelope that breaks it. */
  readonly at?: number
}

const random = new Seeded("tickets")
const SERVER = random.bytes(32)
const ROOT = random.bytes(32)
const [rootId, midId, leafId] = [random.uuid(), random.uuid(), random.uuid()]
const [midSeed, leafSeed, strangerSeed] = [random.bytes(32), random.bytes(32), random.bytes(32)]
const TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

const base64 = (text: string | Buffer): string => Buffer.from(text).toString("base64")

const base = {
  v: 1,
  appId: midId,
  parentId: rootId,
  appName: "etl-step",
  serverEp: "wss://trails.example:8443/ws",
  serverPubKey: keyText(SERVER),
  secLevel: "signed",
  scheduledAt: 1790000000000,
  startDeadline: 300
}
const json = JSON.stringify(base)

const good = (name: string, text: string, envelope: object): EnvelopeVector => ({
  name,
  info: base64(text),
  ok: true,
  envelope: envelope as Readonly<Record<string, unknown>>
})
const bad = (name: string, info: string): EnvelopeVector => ({ name, info, ok: false })
const badFields = (name: string, fields: object): EnvelopeVector =>
  bad(name, base64(JSON.stringify({ ...base, ...fields })))

const DEFAULTS = {
  mode: "full",
  namespace: null,
  originator: null,
  roleRefs: [],
  grants: [],
  tags: null,
  childKey: null,
  ticket: null,
  supervision: { onParentExit: "abandon", onCrash: "notify", restarts: 0 },
  traceparent: null,
  tracestate: null
}
const FULL = {
  ...base,
  mode: "full",
  namespace: "Etl Prod",
  originator: { sub: "ada@example.org", groups: ["data"] },
  roleRefs: ["sre"],
  grants: [{ role: "read" }],
  tags: { run: "daily", schön: true },
  supervision: { onParentExit: "cancel", onCrash: "escalate", restarts: 3 },
  childKey: keyText(leafSeed),
  traceparent: TRACE,
  tracestate: "vendor=1"
}
const says = (fields: object): object => Object.fromEntries(Object.entries(fields).filter(([key]) => key !== "v"))
const legacyRoot = {
  v: 1,
  appId: rootId,
  parentId: null,
  appName: "my-task",
  serverEp: "ws://localhost:8443/ws",
  serverPubKey: null,
  secLevel: "open",
  scheduledAt: null,
  startDeadline: 300,
  roleRefs: [],
  tags: null
}

const envelopes = (): ReadonlyArray<EnvelopeVector> => [
  good("smallest that is signed", json, { ...says(base), ...DEFAULTS }),
  good("everything", sealed(ROOT, "trails.v1.ticket", JSON.stringify(FULL)), says(FULL)),
  good("by a legacy parent, with nulls", JSON.stringify(legacyRoot, null, 1), {
    ...says(legacyRoot),
    ...DEFAULTS,
    scheduledAt: 0
  }),
  good("deadline missing: the default", JSON.stringify({ ...base, startDeadline: null }), {
    startDeadline: 300,
    startDeadlineGiven: false
  }),
  good("no deadline", JSON.stringify({ ...base, startDeadline: 0 }), { startDeadline: 0, startDeadlineGiven: true }),
  good("longest deadline", JSON.stringify({ ...base, startDeadline: 604800 }), { startDeadline: 604800 }),
  good("unknown members are ignored", JSON.stringify({ ...base, future: [1] }), says(base)),
  good("id in upper case", JSON.stringify({ ...base, appId: midId.toUpperCase() }), { appId: midId }),
  good("a trace context that is none is as if absent", JSON.stringify({ ...base, traceparent: "x" }), {
    traceparent: null
  }),
  bad("empty", ""),
  bad("not base64", "not-valid-base64!!!"),
  bad("base64 with a line feed", `${base64(json)}\n`),
  bad("base64 without padding", base64(`${json} `).replace(/=+$/, "").replace(/.$/, "")),
  bad("not UTF-8", base64(Buffer.from(json.replace("etl-step", "\u00ff"), "latin1"))),
  bad("byte order mark", base64(`\ufeff${json}`)),
  bad("not JSON", base64(json.slice(0, -1))),
  bad("not an object", base64("[1]")),
  bad("a member twice", base64(json.replace('"v":1', '"v":1,"v":1'))),
  bad("a member's name with escapes", base64(json.replace("appName", "app\\u004eame"))),
  badFields("version 2", { v: 2 }),
  badFields("version missing", { v: undefined }),
  badFields("unknown mode", { mode: "half" }),
  badFields("appId missing", { appId: undefined }),
  badFields("appId no UUID", { appId: "parent-uuid" }),
  badFields("its own parent", { parentId: midId }),
  badFields("appName missing", { appName: undefined }),
  badFields("appName too long", { appName: "x".repeat(257) }),
  badFields("appName with U+0000", { appName: "a\0" }),
  badFields("serverEp missing", { serverEp: undefined }),
  badFields("serverEp of another scheme", { serverEp: "ftp://trails.example/" }),
  badFields("serverPubKey missing above open", { serverPubKey: null }),
  badFields("serverPubKey malformed", { serverPubKey: "ed25519:abc" }),
  badFields("unknown level", { secLevel: "secret" }),
  badFields("scheduledAt a date", { scheduledAt: "2026-09-21" }),
  badFields("deadline too long", { startDeadline: 604801 }),
  badFields("deadline negative", { startDeadline: -1 }),
  badFields("namespace empty", { namespace: "" }),
  badFields("originator a string", { originator: "ada" }),
  badFields("roleRefs a string", { roleRefs: "sre" }),
  badFields("grants of strings", { grants: ["read"] }),
  badFields("tags a list", { tags: [] }),
  badFields("tags too large", { tags: { blob: "x".repeat(16 * 1024) } }),
  badFields("supervision unknown", { supervision: { onCrash: "panic" } }),
  badFields("restarts negative", { supervision: { restarts: -1 } }),
  badFields("childKey of small order", { childKey: `ed25519:${base64(Buffer.alloc(32))}` }),
  badFields("ticket malformed", { ticket: "ed25519:abc" }),
  bad("ticket not last", base64(JSON.stringify({ ticket: `ed25519:${base64(Buffer.alloc(64))}`, ...base }))),
  badFields("too large", { future: "x".repeat(32 * 1024) }),
  badFields("too deep", { tags: JSON.parse(`${'{"a":'.repeat(32)}1${"}".repeat(32)}`) as object })
]

const ticket = (
  name: string,
  fields: Partial<TicketVector> & { readonly json: string; readonly valid: boolean }
): TicketVector => ({
  name,
  seed: ROOT.toString("hex"),
  key: keyText(ROOT),
  message: json,
  hash: createHash("sha256").update(fields.json).digest("base64"),
  ...fields
})

const tickets = (): ReadonlyArray<TicketVector> => {
  const signed = sealed(ROOT, "trails.v1.ticket", json)
  return [
    ticket("by the parent", { json: signed, valid: true }),
    ticket("with Unicode", {
      message: JSON.stringify(FULL),
      json: sealed(ROOT, "trails.v1.ticket", JSON.stringify(FULL)),
      valid: true
    }),
    ticket("of a root, by the server", {
      seed: SERVER.toString("hex"),
      key: keyText(SERVER),
      json: sealed(SERVER, "trails.v1.ticket", json),
      valid: true
    }),
    ticket("by somebody else", { json: sealed(strangerSeed, "trails.v1.ticket", json), valid: false }),
    ticket("a frame's signature", {
      json: sealed(ROOT, "trails.v1.child", json).replace('"sig"', '"ticket"'),
      valid: false
    }),
    ticket("no ticket", { json, valid: false }),
    ticket("a member changed", { json: signed.replace('"startDeadline":300', '"startDeadline":301'), valid: false }),
    ticket("a member added behind it", { json: signed.replace(/}$/, ',"x":1}'), valid: false }),
    ticket("white space", { json: signed.replace(',"ticket"', ', "ticket"'), valid: false })
  ]
}

interface Link {
  readonly appId: string
  readonly parentId: string
  readonly issuer: Buffer
  readonly child?: Buffer
  readonly level?: string
}

const envelope = (link: Link): string =>
  base64(
    sealed(
      link.issuer,
      "trails.v1.ticket",
      JSON.stringify({
        ...base,
        appId: link.appId,
        parentId: link.parentId,
        secLevel: link.level ?? "signed",
        ...(link.child === undefined ? {} : { childKey: keyText(link.child) })
      })
    )
  )

const chains = (): ReadonlyArray<ChainVector> => {
  const root = { appId: rootId, key: keyText(ROOT) }
  const mid = { appId: midId, parentId: rootId, issuer: ROOT, child: midSeed }
  const leaf = { appId: leafId, parentId: midId, issuer: midSeed, child: leafSeed }
  const proven = (name: string, links: ReadonlyArray<Link>, key: Buffer): ChainVector => ({
    name,
    root,
    infos: links.map(envelope),
    ok: true,
    path: [rootId, ...links.map((link) => link.appId)],
    key: keyText(key)
  })
  const broken = (name: string, links: ReadonlyArray<Link>, at: number, from = root): ChainVector => ({
    name,
    root: from,
    infos: links.map(envelope),
    ok: false,
    at
  })
  return [
    proven("a root alone", [], ROOT),
    proven("one child", [mid], midSeed),
    proven("a grandchild", [mid, leaf], leafSeed),
    proven("levels may rise", [mid, { ...leaf, level: "full" }], leafSeed),
    broken("another root key", [mid, leaf], 0, { ...root, key: keyText(strangerSeed) }),
    broken("another root", [mid, leaf], 0, { ...root, appId: leafId }),
    broken("out of order", [leaf, mid], 0),
    broken("a link left out", [leaf], 0),
    broken("the leaf is not by its parent", [mid, { ...leaf, issuer: strangerSeed }], 1),
    broken("the leaf is by the root", [mid, { ...leaf, issuer: ROOT }], 1),
    broken("a link without childKey", [{ appId: midId, parentId: rootId, issuer: ROOT }, leaf], 0),
    broken("the level falls", [{ ...mid, level: "full" }, leaf], 1),
    broken("a node twice", [mid, { appId: rootId, parentId: midId, issuer: midSeed, child: leafSeed }], 1)
  ]
}

export const envelopeVectors = () => ({ envelopes: envelopes() })
export const ticketVectors = () => ({ tickets: tickets() })
export const chainVectors = () => ({ chains: chains() })
