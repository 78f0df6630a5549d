import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto"
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs"
import { dirname } from "node:path"
import { Data, Effect } from "effect"
import { decodeBase64 } from "../protocol/Base64.ts"
import { formatKey } from "../protocol/Keys.ts"
import { importPublicKey, importSecretKey, importSeed, type SecretKey } from "./Ed25519.ts"

/** A key can't be read or made; the message names the remedy and never the key. */
export class KeyFileError extends Data.TaggedError("KeyFileError")<{ readonly message: string }> {}

/** An Ed25519 key as its file holds it. */
export interface StoredKey {
  /** Null when the file holds the public half alone. */
  readonly secret: SecretKey | null
  /** `ed25519:` + base64 (PROTOCOL §1). */
  readonly publicKey: string
}

const SEED = "ed25519-seed:"

const keyOf = (text: string): StoredKey | null => {
  const trimmed = text.trim()
  if (trimmed.startsWith("ed25519:")) return publicOnly(trimmed)
  if (trimmed.startsWith("-----BEGIN PUBLIC KEY")) {
    const key = createPublicKey(trimmed)
    return key.asymmetricKeyType === "ed25519"
      ? publicOnly(formatKey(Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url")))
      : null
  }
  if (trimmed.startsWith(SEED)) {
    const seed = decodeBase64(trimmed.slice(SEED.length))
    return seed?.length === 32 ? withSecret(importSeed(seed)) : null
  }
  const key = createPrivateKey(trimmed)
  return key.asymmetricKeyType === "ed25519" ? withSecret(importSecretKey(key)) : null
}

const withSecret = (secret: SecretKey): StoredKey => ({ secret, publicKey: secret.text })

const publicOnly = (text: string): StoredKey | null =>
  importPublicKey(text) === null ? null : { secret: null, publicKey: text }

/**
 * Reads a key from text: PKCS8 PEM (`openssl genpkey -algorithm ed25519`), `ed25519-seed:` + base64 of the 32 bytes of
 * the seed, or of a public key alone SPKI PEM or `ed25519:` + base64. `source` says where it is from, for the message.
 */
export const parseStoredKey = (text: string, source: string): Effect.Effect<StoredKey, KeyFileError> =>
  Effect.try({
    try: () => keyOf(text),
    // node:crypto's own words may quote the input: none of them is repeated.
    catch: () => notAKey(source)
  }).pipe(
    Effect.filterOrFail(
      (key) => key !== null,
      () => notAKey(source)
    )
  )

const notAKey = (source: string): KeyFileError =>
  new KeyFileError({
    message:
      `${source} does not hold an Ed25519 key without a passphrase. Make one with: ` +
      "openssl genpkey -algorithm ed25519 -out key.pem (ed25519-seed:<base64 of 32 bytes> works too)"
  })

/** Reads the key of a file that must be there. `what` names it in messages. */
export const readKeyFile = (path: string, what: string): Effect.Effect<StoredKey, KeyFileError> =>
  Effect.try({
    try: () => readFileSync(path, "utf8"),
    catch: (cause) =>
      new KeyFileError({
        message:
          `${what} (${path}) can't be read (${codeOf(cause)}). Check the path and its permissions, or make a ` +
          `key there: openssl genpkey -algorithm ed25519 -out ${path}`
      })
  }).pipe(Effect.flatMap((text) => parseStoredKey(text, `${what} (${path})`)))

/** Reads the key of `path`, or makes one there (0600). Call it only while the folder's lock is held. */
export const readOrGenerate = Effect.fnUntraced(function* (path: string, what: string) {
  if (existsSync(path)) return yield* readKeyFile(path, what)
  const pem = generateKeyPairSync("ed25519").privateKey.export({ format: "pem", type: "pkcs8" }).toString()
  yield* Effect.try({
    try: () => writeDurably(path, pem),
    catch: (cause) => new KeyFileError({ message: `${what} can't be written to ${path} (${codeOf(cause)})` })
  })
  return yield* parseStoredKey(pem, what)
})

/** Whole or not at all, also after a power cut: clients will have pinned this key. */
const writeDurably = (path: string, text: string): void => {
  const temporary = `${path}.new`
  const file = openSync(temporary, "w", 0o600)
  writeSync(file, text)
  fsyncSync(file)
  closeSync(file)
  renameSync(temporary, path)
  const folder = openSync(dirname(path), "r")
  fsyncSync(folder)
  closeSync(folder)
}

const codeOf = (cause: unknown): string => (cause as NodeJS.ErrnoException).code ?? "unknown error"
