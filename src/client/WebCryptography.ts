import { getPublicKeyAsync, signAsync } from "@noble/ed25519"
import type { Cryptography } from "./Cryptography.ts"
import { challenge, holds, isAdmissible } from "./NobleEd25519.ts"

const sha512 = async (bytes: Uint8Array): Promise<Uint8Array> =>
  new Uint8Array(await crypto.subtle.digest("SHA-512", bytes as Uint8Array<ArrayBuffer>))

/** By @noble/ed25519 and the hash of WebCrypto, which browsers offer to secure contexts (https, localhost) only. */
export const webCryptography: Cryptography = {
  random: (length) => crypto.getRandomValues(new Uint8Array(length)),
  publicKey: async (seed) => new Uint8Array(await getPublicKeyAsync(seed)),
  signer: (seed) => async (message) => new Uint8Array(await signAsync(message, seed)),
  verifier: (key) => async (message, signature) =>
    isAdmissible(key, signature) && holds(key, signature, await sha512(challenge(key, message, signature)))
}
