import { join, resolve } from "node:path"
import { Context, Effect, Layer } from "effect"
import { type KeyFileError, readKeyFile, readOrGenerate } from "../actors/KeyFile.ts"
import { Settings } from "../Settings.ts"
import { DataDir } from "../storage/DataDir.ts"

/** The key whose holder may do everything over REST (PROTOCOL §9). Only its public half is kept. */
export class AdminKey extends Context.Service<
  AdminKey,
  {
    /** `ed25519:` + base64: the `keyid` of its signatures. */
    readonly publicKey: string
    /** The generated private key, absolute; null when TRAILS_ADMIN_KEY_FILE names the key. */
    readonly generatedFile: string | null
  }
>()("trails/transports/AdminKey") {
  static readonly layer: Layer.Layer<AdminKey, KeyFileError, Settings | DataDir> = Layer.effect(
    AdminKey,
    Effect.gen(function* () {
      const { adminKeyFile } = yield* Settings
      const file = resolve(join((yield* DataDir).path, "admin.key.pem"))
      const key =
        adminKeyFile !== null
          ? yield* readKeyFile(adminKeyFile, "TRAILS_ADMIN_KEY_FILE")
          : yield* readOrGenerate(file, "The administrator's key")
      return { publicKey: key.publicKey, generatedFile: adminKeyFile === null ? file : null }
    })
  )
}
