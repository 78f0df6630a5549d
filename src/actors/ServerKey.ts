import { join } from "node:path"
import { Context, Effect, Layer, Redacted } from "effect"
import { Settings } from "../Settings.ts"
import { DataDir } from "../storage/DataDir.ts"
import type { SecretKey } from "./Ed25519.ts"
import { KeyFileError, parseStoredKey, readKeyFile, readOrGenerate } from "./KeyFile.ts"

/**
 * The Ed25519 key that every replica of a deployment shares (PROTOCOL §1): clients pin its public half, it signs server
 * frames and the tickets of roots.
 */
export class ServerKey extends Context.Service<
  ServerKey,
  {
    /** `ed25519:` + base64. */
    readonly publicKey: string
    /** For `Ed25519.sign`. */
    readonly secret: SecretKey
    /** Where it is from, for the first screen. */
    readonly source: string
  }
>()("trails/actors/ServerKey") {
  static readonly layer: Layer.Layer<ServerKey, KeyFileError, Settings | DataDir> = Layer.effect(
    ServerKey,
    Effect.gen(function* () {
      const settings = yield* Settings
      const generated = join((yield* DataDir).path, "server.key.pem")
      const [key, source] =
        settings.serverKey !== null
          ? [yield* parseStoredKey(Redacted.value(settings.serverKey), "TRAILS_SERVER_KEY"), "TRAILS_SERVER_KEY"]
          : settings.serverKeyFile !== null
            ? [yield* readKeyFile(settings.serverKeyFile, "TRAILS_SERVER_KEY_FILE"), settings.serverKeyFile]
            : [yield* readOrGenerate(generated, "The server's key"), generated]
      const { publicKey, secret } = key
      if (secret === null) {
        return yield* new KeyFileError({ message: `${source} holds a public key; the server needs the private one` })
      }
      return { publicKey, secret, source }
    })
  )
}
