import { generateKeyPairSync } from "node:crypto"
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs"
import { dirname } from "node:path"
import { Data, Effect } from "effect"
import { parseKeyText } from "../keys/KeyText.ts"
import type { SecretKey } from "./Ed25519.ts"

/** A key can't be read or made; the message names the remedy and never the key. */
export class KeyFileError extends Data.TaggedError("KeyFileError")<{ readonly message: string }> {}

/** An Ed25519 key as its file holds it. */
export interface StoredKey {
  /** Null when the file holds the public half alone. */
  readonly secret: SecretKey | null
  /** `ed25519:` + base64 (PROTOCOL §1). */
  readonly publicKey: string
}

/**
 * Reads a key from text: PKCS8 PEM (`openssl genpkey -algorithm ed25519`), `ed25519-seed:` + base64 of the 32 bytes of
 * the seed, or of a public key alone SPKI PEM or `ed25519:` + base64. `source` says where it is from, for the message.
 */
export const parseStoredKey = (text: string, source: string): Effect.Effect<StoredKey, KeyFileError> =>
  Effect.suspend(() => {
    const key = parseKeyText(text)
    if (key === null) return Effect.fail(notAKey(source))
    const { publicKey, secret } = key
    return Effect.succeed({ publicKey, secret: secret === null ? null : { text: publicKey, key: secret } })
  })

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
