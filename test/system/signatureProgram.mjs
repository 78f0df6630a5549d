// Runs in whatever has the packed client installed (package.test.ts): verifies, and tells where it does not answer as
// expected.
import { readFileSync } from "node:fs"
import { nodeCryptography } from "./node_modules/@trailsd/client/client/NodeCryptography.js"
import { isUsablePoint } from "./node_modules/@trailsd/client/protocol/Keys.js"

const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (byte) => parseInt(byte, 16))
const answer = (key, message, signature) =>
  key.length === 32 && isUsablePoint(key) && nodeCryptography.verifier(key)(message, signature)

const cases = JSON.parse(readFileSync("signatures.json", "utf8"))
const wrong = cases.filter(
  ([, key, message, signature, expected]) => answer(bytes(key), bytes(message), bytes(signature)) !== expected
)
console.log(JSON.stringify({ verified: cases.length, wrong }))
