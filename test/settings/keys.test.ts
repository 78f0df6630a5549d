import { createPublicKey, generateKeyPairSync } from "node:crypto"
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { nodeEd25519, sign } from "../../src/actors/Ed25519.ts"
import { parseStoredKey, readKeyFile, readOrGenerate } from "../../src/actors/KeyFile.ts"
import { formatKey, parseKey, parseSignature } from "../../src/protocol/Keys.ts"
import { advertise } from "../../src/transports/ServerAdvert.ts"

const folder = mkdtempSync(join(tmpdir(), "trails-keys-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const pair = generateKeyPairSync("ed25519")
const pem = pair.privateKey.export({ format: "pem", type: "pkcs8" }).toString()
const seed = Buffer.from(pair.privateKey.export({ format: "jwk" }).d ?? "", "base64url")
const publicText = formatKey(Buffer.from(pair.publicKey.export({ format: "jwk" }).x ?? "", "base64url"))
const publicPem = pair.publicKey.export({ format: "pem", type: "spki" }).toString()

describe("key files", () => {
  for (const [form, text] of [
    ["PKCS8 PEM", pem],
    ["ed25519-seed", `ed25519-seed:${seed.toString("base64")}\n`]
  ] as const) {
    it.effect(`${form} gives the private key`, () =>
      Effect.gen(function* () {
        const key = yield* parseStoredKey(text, "it")
        assert.strictEqual(key.publicKey, publicText)
        const signature = parseSignature(sign(key.secret!, "trails.v1.server\n", "{}"))
        const signed = Buffer.from("trails.v1.server\n{}")
        assert.isTrue(nodeEd25519.verify(parseKey(publicText)!, signed, signature!))
      })
    )
  }

  for (const [form, text] of [
    ["SPKI PEM", publicPem],
    ["ed25519:", publicText]
  ] as const) {
    it.effect(`${form} gives the public key alone`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* parseStoredKey(text, "it"), { secret: null, publicKey: publicText })
      })
    )
  }

  const rsa = generateKeyPairSync("rsa", { modulusLength: 1024 })
  const bad: ReadonlyArray<readonly [string, string]> = [
    ["an empty file", ""],
    ["text", "geheim"],
    ["a seed of 31 bytes", `ed25519-seed:${Buffer.alloc(31, 7).toString("base64")}`],
    ["a seed that is not strict base64", `ed25519-seed:${seed.toString("base64").slice(0, -1)}`],
    ["a small-order public key", `ed25519:${Buffer.alloc(32).toString("base64")}`],
    ["an RSA key", rsa.privateKey.export({ format: "pem", type: "pkcs8" }).toString()],
    ["an RSA public key", rsa.publicKey.export({ format: "pem", type: "spki" }).toString()],
    [
      "a PEM with a passphrase",
      pair.privateKey.export({ format: "pem", type: "pkcs8", cipher: "aes-256-cbc", passphrase: "x" }).toString()
    ]
  ]
  for (const [form, text] of bad) {
    it.effect(`${form} is refused with the command that makes one, and not repeated`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(parseStoredKey(text, "TRAILS_SERVER_KEY"))
        assert.include(error.message, "openssl genpkey -algorithm ed25519")
        assert.notInclude(error.message, "geheim")
        if (text.length > 60) assert.notInclude(error.message, text.slice(30, 60))
      })
    )
  }

  it.effect("a missing file says which setting named it", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(readKeyFile(join(folder, "nothing.pem"), "TRAILS_ADMIN_KEY_FILE"))
      assert.match(error.message, /^TRAILS_ADMIN_KEY_FILE \(.*nothing\.pem\) can't be read \(ENOENT\)/)
    })
  )

  it.effect("a generated key is 0600, one that openssl reads, and the same at the next start", () =>
    Effect.gen(function* () {
      const path = join(folder, "generated.pem")
      const first = yield* readOrGenerate(path, "The server's key")
      assert.strictEqual(statSync(path).mode & 0o777, 0o600)
      assert.strictEqual(createPublicKey(readFileSync(path, "utf8")).asymmetricKeyType, "ed25519")
      const second = yield* readOrGenerate(path, "The server's key")
      assert.strictEqual(second.publicKey, first.publicKey)
      assert.deepStrictEqual(
        readdirSync(folder).filter((name) => name.endsWith(".new")),
        []
      )
    })
  )
})

describe("~/.trails/servers", () => {
  const advert = {
    endpoint: "ws://127.0.0.1:9/ws",
    url: "http://127.0.0.1:9",
    level: "open",
    serverPubKey: "ed25519:AA",
    adminKeyFile: "/k.pem",
    pid: process.pid
  } as const
  const path = join(folder, ".trails/servers/9.json")

  it.effect("is written 0600 and gone after a clean stop", () =>
    Effect.gen(function* () {
      yield* Effect.scoped(
        Effect.gen(function* () {
          assert.isNull(yield* advertise(9, advert, folder))
          assert.deepStrictEqual(JSON.parse(readFileSync(path, "utf8")), advert)
          assert.strictEqual(statSync(path).mode & 0o777, 0o600)
          assert.strictEqual(statSync(join(folder, ".trails/servers")).mode & 0o777, 0o700)
        })
      )
      assert.isUndefined(statSync(path, { throwIfNoEntry: false }))
    })
  )

  it.effect("a newer server's file on the same port is left alone", () =>
    Effect.gen(function* () {
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* advertise(9, advert, folder)
          writeFileSync(path, JSON.stringify({ ...advert, pid: 1 }))
        })
      )
      assert.strictEqual(JSON.parse(readFileSync(path, "utf8")).pid, 1)
    })
  )

  it.effect("a home that can't be written to is a warning, not an end", () =>
    Effect.scoped(
      Effect.gen(function* () {
        writeFileSync(join(folder, "file"), "")
        assert.include(yield* advertise(9, advert, join(folder, "file")), "could not be written")
        assert.include(yield* advertise(9, advert, ""), "could not be written")
      })
    )
  )
})
