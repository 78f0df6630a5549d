import { createHash, randomBytes, sign } from "node:crypto"
import { readFileSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { readKeyFile } from "../../src/actors/KeyFile.ts"
import { signRequest, type SignatureHeaders } from "../../src/client/HttpSigner.ts"
import type { Advert } from "../../src/transports/ServerAdvert.ts"
import { EXIT, LoadError } from "./LoadError.ts"

const LOOPBACK = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/

/** Path of the key that a server on this machine advertises to the same user; null when there is none. */
const advertisedFor = ({ hostname, port, protocol }: URL): string | null => {
  if (!LOOPBACK.test(hostname)) return null
  const number = port === "" ? (protocol === "wss:" ? 443 : 80) : port
  try {
    const text = readFileSync(join(homedir(), ".trails", "servers", `${number}.json`), "utf8")
    return (JSON.parse(text) as Advert).adminKeyFile
  } catch {
    return null
  }
}

/** Signs REST calls with the administrator's key (PROTOCOL §9). */
export class AdminKeyFile {
  readonly #sign: (url: string, body: Uint8Array) => SignatureHeaders

  private constructor(sign: AdminKeyFile["post"]) {
    this.#sign = sign
  }

  /** `file`, else what a server on this machine says. Fails with a `LoadError` that says what to do. */
  static open(file: string | null, urls: ReadonlyArray<URL>): AdminKeyFile {
    const path = file ?? urls.map(advertisedFor).find((found) => found !== null)
    if (path === undefined) {
      throw new LoadError(
        EXIT.config,
        "Nodes above open need tickets, and those the administrator's key: no server of this user on this machine " +
          "advertises one for these URLs. Name it with --admin-key FILE (trailsd makes admin.key.pem in its data folder)."
      )
    }
    const key = Effect.runSync(Effect.result(readKeyFile(path, "The administrator's key")))
    if (key._tag === "Failure") throw new LoadError(EXIT.config, key.failure.message)
    const { publicKey, secret } = key.success
    if (secret === null) {
      throw new LoadError(
        EXIT.config,
        `${path} holds the public half of a key; requests are signed with the private one.`
      )
    }
    const signing = {
      publicKey,
      sign: (message: Uint8Array) => sign(null, message, secret.key),
      sha256: (bytes: Uint8Array) => createHash("sha256").update(bytes).digest()
    }
    return new AdminKeyFile((url, body) =>
      signRequest(signing, {
        method: "POST",
        url,
        body,
        created: Math.floor(Date.now() / 1000),
        nonce: randomBytes(16).toString("base64")
      })
    )
  }

  /** Headers for one POST. */
  post(url: string, body: Uint8Array): SignatureHeaders {
    return this.#sign(url, body)
  }
}
