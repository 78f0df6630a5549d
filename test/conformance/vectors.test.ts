import { createHash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { importPublicKey, importSeed, nodeEd25519, sha256, sign, verifySync } from "../../src/actors/Ed25519.ts"
import { nobleEd25519 } from "../../src/client/NobleEd25519.ts"
import { decodeEnvelope, isEnvelopeProblem } from "../../src/protocol/Envelope.ts"
import { decodeClientFrame, isFrameProblem, peekAppId } from "../../src/protocol/FrameDecoder.ts"
import { parseKey, parseSignature, parseUsableKey } from "../../src/protocol/Keys.ts"
import { decodeServerFrame } from "../../src/protocol/ServerFrameDecoder.ts"
import { attachSignature, splitSigned, TAGS } from "../../src/protocol/SignedFrame.ts"
import { startDay } from "../../src/protocol/StartDay.ts"
import * as Subjects from "../../src/protocol/Subjects.ts"
import { issueTicket, splitTicket, ticketHash, verifyChain, verifyTicket } from "../../src/protocol/Ticket.ts"
import type { frameVectors } from "./FrameVectors.ts"
import { VECTORS, vectorFiles } from "./generate.ts"
import type { ed25519Vectors, keyVectors } from "./KeyVectors.ts"
import type { TranscriptFile } from "./LegacyTranscripts.ts"
import type { signedFrameVectors } from "./SignedVectors.ts"
import type { startDayVectors, subjectVectors } from "./SubjectVectors.ts"
import type { chainVectors, envelopeVectors, ticketVectors } from "./TicketVectors.ts"

/** The committed files, as a client in another language reads them. */
const load = <A>(name: string): A => JSON.parse(readFileSync(join(VECTORS, name), "utf8")) as A

const sha512 = (bytes: Uint8Array): Uint8Array => createHash("sha512").update(bytes).digest()
const implementations = [
  ["node:crypto", nodeEd25519],
  ["noble", nobleEd25519(sha512)]
] as const

const hex = (text: string): Buffer => Buffer.from(text, "hex")
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

describe("vectors", () => {
  it("are the bytes that the generator writes", () => {
    const committed = readdirSync(VECTORS, { recursive: true, encoding: "utf8" }).filter((name) =>
      name.endsWith(".json")
    )
    assert.deepStrictEqual(committed.toSorted(), [...vectorFiles().keys()].toSorted())
    for (const [name, text] of vectorFiles()) {
      assert.isTrue(
        readFileSync(join(VECTORS, name), "utf8") === text,
        `${name}: run node test/conformance/generate.ts`
      )
    }
  })
})

describe("keys.json", () => {
  const { keys, signatures } = load<ReturnType<typeof keyVectors>>("keys.json")
  it.each(keys)("key: $name", (vector) => {
    const bytes = parseKey(vector.text)
    assert.strictEqual(bytes !== null, vector.wellFormed)
    if (bytes !== null && vector.bytes !== undefined) assert.deepStrictEqual(Buffer.from(bytes), hex(vector.bytes))
    assert.strictEqual(parseUsableKey(vector.text) !== null, vector.usable)
    assert.strictEqual(importPublicKey(vector.text) !== null, vector.usable)
  })
  it.each(signatures)("signature: $name", (vector) => {
    assert.strictEqual(parseSignature(vector.text) !== null, vector.wellFormed)
  })
})

describe.each(implementations)("ed25519.json, %s", (_name, ed25519) => {
  it.each(load<ReturnType<typeof ed25519Vectors>>("ed25519.json").cases)("$name", async (vector) => {
    const [key, message, signature] = [hex(vector.key), hex(vector.message), hex(vector.signature)]
    assert.strictEqual(ed25519.verify(key, message, signature), vector.valid)
    assert.strictEqual(await ed25519.verifyAsync(key, message, signature), vector.valid)
  })
})

describe("frames.json", () => {
  const { client, server } = load<ReturnType<typeof frameVectors>>("frames.json")
  it.each(client)("$dialect: $name", (vector) => {
    const bytes = Buffer.byteLength(vector.text)
    const decoded = decodeClientFrame(vector.text, bytes, vector.dialect)
    if (!vector.ok) {
      assert.isTrue(isFrameProblem(decoded), "must be refused")
      if (!isFrameProblem(decoded)) return
      assert.strictEqual(decoded.code, vector.code)
      assert.strictEqual(decoded.fatal, vector.fatal)
      if (vector.app_id !== undefined) assert.strictEqual(decoded.appId, vector.app_id)
      if (vector.seq !== undefined) assert.strictEqual(decoded.seq, vector.seq)
      return
    }
    if (isFrameProblem(decoded)) return assert.fail(decoded.message)
    for (const [member, value] of Object.entries(vector.frame)) {
      const found = (decoded.frame as unknown as Readonly<Record<string, unknown>>)[member]
      if (member === "process_info") assert.deepStrictEqual({ ...(found as object) }, { ...(value as object) })
      else assert.deepStrictEqual(found, value, member)
    }
    assert.strictEqual(decoded.payload, vector.payload)
    assert.strictEqual(decoded.raw, vector.text)
    assert.strictEqual(decoded.bytes, bytes)
    assert.strictEqual(peekAppId(vector.text), decoded.frame.app_id)
  })
  it.each(server)("server: $name", (vector) => {
    const decoded = decodeServerFrame(vector.text)
    assert.strictEqual(!isFrameProblem(decoded), vector.ok, "message" in decoded ? decoded.message : "")
    if (isFrameProblem(decoded)) return
    assert.strictEqual(decoded.payload, vector.payload ?? null)
    for (const [member, value] of Object.entries(vector.frame ?? {})) {
      assert.deepStrictEqual((decoded.frame as unknown as Readonly<Record<string, unknown>>)[member], value, member)
    }
  })
})

describe.each(implementations)("signed-frames.json, %s", (_name, ed25519) => {
  it.each(load<ReturnType<typeof signedFrameVectors>>("signed-frames.json").frames)("$tag: $name", (vector) => {
    const signed = splitSigned(vector.frame)
    const key = parseKey(vector.key)!
    const bytes = signed === null ? null : utf8(`${vector.tag}\n${signed.message}`)
    const holds = signed !== null && bytes !== null && ed25519.verify(key, bytes, signed.signature)
    assert.strictEqual(holds, vector.valid)
    if (!vector.valid) return
    assert.strictEqual(signed?.message, vector.message)
    const made = ed25519.sign(hex(vector.seed), utf8(`${vector.tag}\n${vector.message}`))
    assert.strictEqual(
      attachSignature(vector.message, `ed25519:${Buffer.from(made).toString("base64")}`),
      vector.frame,
      "Ed25519 is deterministic: every sender makes the same bytes"
    )
    const tag = Object.values(TAGS).find((known) => known === `${vector.tag}\n`)!
    assert.strictEqual(sign(importSeed(hex(vector.seed)), tag, vector.message), vector.frame.slice(-98, -2))
    assert.isTrue(verifySync(importPublicKey(vector.key)!, tag, vector.message, signed!.signature))
  })
})

describe("envelopes.json", () => {
  it.each(load<ReturnType<typeof envelopeVectors>>("envelopes.json").envelopes)("$name", (vector) => {
    const envelope = decodeEnvelope(vector.info)
    assert.strictEqual(!isEnvelopeProblem(envelope), vector.ok, isEnvelopeProblem(envelope) ? envelope.problem : "")
    if (isEnvelopeProblem(envelope)) return assert.match(envelope.problem, /^TRAILS_INFO: ./)
    assert.strictEqual(Buffer.from(envelope.json).toString("base64"), vector.info)
    for (const [member, value] of Object.entries(vector.envelope ?? {})) {
      assert.deepStrictEqual((envelope as unknown as Readonly<Record<string, unknown>>)[member], value, member)
    }
  })
})

describe.each(implementations)("tickets.json, %s", (_name, ed25519) => {
  it.each(load<ReturnType<typeof ticketVectors>>("tickets.json").tickets)("$name", (vector) => {
    assert.strictEqual(verifyTicket(vector.json, vector.key, ed25519), vector.valid)
    assert.strictEqual(ticketHash(vector.json, sha256), vector.hash)
    if (!vector.valid) return
    assert.strictEqual(splitTicket(vector.json)?.message, vector.message)
    assert.strictEqual(issueTicket(vector.message, hex(vector.seed), ed25519), vector.json)
  })
})

describe.each(implementations)("chains.json, %s", (_name, ed25519) => {
  it.each(load<ReturnType<typeof chainVectors>>("chains.json").chains)("$name", (vector) => {
    const chain = verifyChain(vector.root, vector.infos, ed25519)
    assert.strictEqual("path" in chain, vector.ok, "problem" in chain ? chain.problem : "")
    if ("path" in chain) assert.deepStrictEqual({ ...chain }, { path: vector.path!, key: vector.key! })
    else assert.strictEqual(chain.at, vector.at)
  })
})

describe("subjects.json", () => {
  const vectors = load<ReturnType<typeof subjectVectors>>("subjects.json")
  it.each(vectors.labels)("label of $id", ({ id, label }) => assert.strictEqual(Subjects.label(id, sha256), label))
  it.each(vectors.namespaces)("namespace $namespace", ({ namespace, token }) => {
    assert.strictEqual(Subjects.encodeNamespace(namespace, sha256), token)
    assert.match(token, /^[a-z0-9-]+$/)
  })
  it.each(vectors.subjects)("$subject", ({ namespace, kind, path, subject }) => {
    const known = Subjects.TREE_EVENT_KINDS.find((one) => one === kind)!
    assert.strictEqual(Subjects.treeEventSubject(namespace, known, path, sha256), subject)
    const parsed = Subjects.parseTreeEventSubject(subject)
    assert.deepStrictEqual(
      parsed?.labels,
      path.slice(0, 12).map((id) => Subjects.label(id, sha256))
    )
    assert.strictEqual(parsed?.kind, kind)
    assert.strictEqual(parsed?.namespace, Subjects.encodeNamespace(namespace, sha256))
  })
  it.each(vectors.malformed)("is no tree event: %s", (subject) =>
    assert.isNull(Subjects.parseTreeEventSubject(subject))
  )
  it.each(vectors.addresses)("$subject", ({ boot, appId, subject }) => {
    assert.strictEqual(Subjects.nodeAddress(boot!, appId!), subject)
    assert.deepStrictEqual(Subjects.parseReplicaSubject(subject), { to: boot!, about: "node", appId: appId! })
    assert.isNull(Subjects.parseReplicaSubject(`${subject}.x`))
  })
})

describe("start-day.json", () => {
  it.each(load<ReturnType<typeof startDayVectors>>("start-day.json").days)("$time", ({ at, day }) =>
    assert.strictEqual(startDay(at), day)
  )
})

describe("legacy transcripts", () => {
  const names = ["register", "status", "result", "error", "disconnect", "drop", "re-register"]
  const files = names.map((name) => load<TranscriptFile>(`legacy/${name}.json`))
  it.each(files)("$name: every frame is one of the legacy dialect", ({ transcripts }) => {
    for (const { steps } of transcripts) {
      for (const step of steps) {
        if (!("send" in step)) continue
        const text = step.send.replaceAll("{{app}}", "550e8400-e29b-41d4-a716-446655440000")
        const decoded = decodeClientFrame(text, text.length, "legacy")
        assert.isFalse(isFrameProblem(decoded), "message" in decoded ? decoded.message : "")
      }
    }
  })
})
