import type { MaybePromise } from "./MaybePromise.ts"

export type Sign = (message: Uint8Array) => MaybePromise<Uint8Array>
export type Verify = (message: Uint8Array, signature: Uint8Array) => MaybePromise<boolean>

/** Ed25519 as `protocol/Ed25519.ts` means it, with keys kept ready: an import costs as much as a signature. */
export interface Cryptography {
  /** That many bytes nobody can guess. */
  readonly random: (length: number) => Uint8Array
  /** The 32-byte public key of a 32-byte seed. */
  readonly publicKey: (seed: Uint8Array) => MaybePromise<Uint8Array>
  readonly signer: (seed: Uint8Array) => Sign
  /** `key` has passed `isUsablePoint`. False for whatever is wrong, never throws. */
  readonly verifier: (key: Uint8Array) => Verify
}
