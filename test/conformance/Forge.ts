import { createHash } from "node:crypto"
import { Point } from "@noble/ed25519"
import type { Seeded } from "./Seeded.ts"

/** Signatures that satisfy, or nearly satisfy, the curve's equation without being what TRAILS means by a signature. */

const ORDER = Point.CURVE().n
const P = Point.CURVE().p

const sha512 = (...parts: ReadonlyArray<Uint8Array>): Buffer => {
  const hash = createHash("sha512")
  for (const part of parts) hash.update(part)
  return hash.digest()
}

const fromLittleEndian = (bytes: Uint8Array): bigint => BigInt("0x" + Buffer.from(bytes).reverse().toString("hex"))

export const toLittleEndian = (value: bigint): Buffer =>
  Buffer.from(value.toString(16).padStart(64, "0"), "hex").reverse()

const challenge = (r: Uint8Array, key: Uint8Array, message: Uint8Array): bigint =>
  fromLittleEndian(sha512(r, key, message)) % ORDER

const encode = (point: Point): Buffer => Buffer.from(point.toBytes())

/** The eight points whose order divides 8, the identity first: multiples of one of order 8. */
export const torsion = ((): ReadonlyArray<Point> => {
  const y = Buffer.from("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "hex")
  const generator = Point.fromBytes(y, true)
  const points = [Point.ZERO]
  for (let index = 1; index < 8; index++) points.push(points[index - 1]!.add(generator))
  return points
})()

/** Every 32-byte string that decodes to a point of small order: both signs, reduced or not. */
export const smallOrderEncodings = (): ReadonlyArray<Buffer> => {
  const found: Array<Buffer> = []
  const ys = new Set(torsion.map((point) => fromLittleEndian(point.toBytes()) & ((1n << 255n) - 1n)))
  for (let extra = 0n; extra < 19n; extra++) ys.add(P + extra)
  for (const y of ys) {
    for (const sign of [0n, 1n << 255n]) {
      const bytes = toLittleEndian(y + sign)
      try {
        if (Point.fromBytes(bytes, true).isSmallOrder()) found.push(bytes)
      } catch {
        // Not on the curve.
      }
    }
  }
  return found
}

/** Encodings with a y coordinate of p or more that decode to some point of the curve. */
export const nonCanonicalEncodings = (): ReadonlyArray<Buffer> => {
  const found: Array<Buffer> = []
  for (let extra = 0n; extra < 19n; extra++) {
    for (const sign of [0n, 1n << 255n]) {
      const bytes = toLittleEndian(P + extra + sign)
      try {
        Point.fromBytes(bytes, true)
        found.push(bytes)
      } catch {
        // Not on the curve.
      }
    }
  }
  return found
}

export interface Forgery {
  readonly key: Buffer
  readonly message: Buffer
  readonly signature: Buffer
}

/** RFC 8032's equation without the cofactor and without a look at the points: what a careless verifier checks. */
export const satisfiesEquation = ({ key, message, signature }: Forgery): boolean => {
  const r = signature.subarray(0, 32)
  const s = fromLittleEndian(signature.subarray(32))
  const expected = Point.BASE.multiply(s, false).subtract(
    Point.fromBytes(key, true).multiply(challenge(r, key, message), false)
  )
  return encode(expected).equals(r)
}

/** Under a small-order key nobody's secret is needed: looks for a message whose challenge is a multiple of 8. */
export const forgeUnderSmallOrderKey = (key: Buffer, random: Seeded): Forgery => {
  const s = (fromLittleEndian(random.bytes(32)) % (ORDER - 1n)) + 1n
  const r = encode(Point.BASE.multiply(s, false))
  for (;;) {
    const message = random.bytes(24)
    if (challenge(r, key, message) % 8n === 0n) {
      return { key, message, signature: Buffer.concat([r, toLittleEndian(s)]) }
    }
  }
}

/** The secret scalar of a seed (RFC 8032 §5.1.5). */
const scalarOf = (seed: Buffer): bigint => {
  const head = sha512(seed).subarray(0, 32)
  head[0]! &= 248
  head[31] = (head[31]! & 127) | 64
  return fromLittleEndian(head)
}

/** By the owner of the seed, with R and key moved by points of small order (index into `torsion`; 0 leaves them). */
export const signMoved = (
  seed: Buffer,
  message: Buffer,
  random: Seeded,
  moved: { readonly key: number; readonly r: number; readonly rIsTorsionOnly?: boolean }
): Forgery => {
  const a = scalarOf(seed)
  const key = encode(Point.BASE.multiply(a % ORDER, false).add(torsion[moved.key]!))
  const nonce = moved.rIsTorsionOnly === true ? 0n : (fromLittleEndian(random.bytes(32)) % (ORDER - 1n)) + 1n
  const r = encode((nonce === 0n ? Point.ZERO : Point.BASE.multiply(nonce, false)).add(torsion[moved.r]!))
  const s = (nonce + challenge(r, key, message) * a) % ORDER
  return { key, message, signature: Buffer.concat([r, toLittleEndian(s)]) }
}

/** S + L: the same number modulo the group's order, another text. */
export const withNonCanonicalS = (signature: Buffer): Buffer =>
  Buffer.concat([signature.subarray(0, 32), toLittleEndian(fromLittleEndian(signature.subarray(32)) + ORDER)])
