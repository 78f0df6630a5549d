/** A hash over bytes, injected: SHA-256 for labels and ticket hashes, SHA-512 for the client's signatures. */
export type Hash = (bytes: Uint8Array) => Uint8Array

/**
 * Ed25519 as TRAILS means it, on raw bytes: RFC 8032 without the cofactor ([S]B − [k]A must encode to R), S below the
 * group order, and neither key nor R of small order or in a non-canonical encoding (`Keys.isUsablePoint`).
 * All implementations pass `test/conformance`. They return false for whatever is wrong and never throw on input.
 */
export interface Ed25519 {
  /** The 32-byte public key of a 32-byte seed. */
  readonly publicKey: (seed: Uint8Array) => Uint8Array
  /** 64 bytes. */
  readonly sign: (seed: Uint8Array, message: Uint8Array) => Uint8Array
  readonly verify: (key: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean
  readonly verifyAsync: (key: Uint8Array, message: Uint8Array, signature: Uint8Array) => Promise<boolean>
}
