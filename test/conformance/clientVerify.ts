import type { Cryptography } from "../../src/client/Cryptography.ts"
import { isUsablePoint } from "../../src/protocol/Keys.ts"

/** What the client makes of a signature: a key that is of no use is refused before there is a verifier (`Identity`). */
export const clientVerify = async (
  { verifier }: Cryptography,
  key: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array
): Promise<boolean> => key.length === 32 && isUsablePoint(key) && (await verifier(key)(message, signature))
