import { describe, expect, it } from "vitest"
import { describeError, encodePayload, isPayloadProblem } from "../../src/client/Payload.ts"

const json = (value: unknown): string | null => {
  const payload = encodePayload(value)
  if (isPayloadProblem(payload)) throw new Error(payload.problem)
  return payload.json
}

const problem = (value: unknown): string => {
  const payload = encodePayload(value)
  return isPayloadProblem(payload) ? payload.problem : "none"
}

const nested = (depth: number): unknown => {
  let value: unknown = 1
  for (let i = 0; i < depth; i++) value = [value]
  return value
}

const revoked = (): unknown => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

/** An error that can't be looked at. */
const hostile = (): Error =>
  Object.create(Error.prototype, {
    message: {
      get: () => {
        throw new Error("no")
      }
    }
  }) as Error

describe("encodePayload", () => {
  it("takes what JSON has no word for as null", () => {
    for (const value of [undefined, () => 1, Symbol("a"), Number.NaN]) expect(json(value)).toBe("null")
  })

  it("stores a Uint8Array as bytes, and counts their base64", () => {
    expect(encodePayload(Uint8Array.of(1, 2, 3, 255))).toEqual({ json: null, bytes: "AQID/w==", size: 8 })
    expect(encodePayload(Buffer.from("ab"))).toMatchObject({ bytes: "YWI=" })
  })

  it("says what can't be written", () => {
    const circular: Record<string, unknown> = {}
    circular["self"] = circular
    expect(problem(1n)).toMatch(/BigInt/)
    expect(problem(circular)).toMatch(/circular/)
    expect(
      problem({
        toJSON: () => {
          throw new Error("not today")
        }
      })
    ).toBe("not today")
  })

  it("survives whatever a toJSON throws", () => {
    for (const thrown of [null, undefined, "text", revoked(), hostile(), Object.assign(new Error(), { message: 5 })])
      expect(
        typeof problem({
          toJSON: () => {
            throw thrown
          }
        })
      ).toBe("string")
  })

  it("takes 31 levels, which are 32 in the frame, and no more", () => {
    expect(problem(nested(31))).toBe("none")
    expect(problem(nested(32))).toMatch(/31 levels/)
    expect(problem(nested(100_000))).toMatch(/nests/)
  })

  it("writes lone surrogates as escapes and counts bytes, not characters", () => {
    expect(json("\ud800")).toBe('"\\ud800"')
    expect(encodePayload("ü€😀")).toMatchObject({ size: 11 })
  })
})

describe("describeError", () => {
  it("tells name, code, stack and causes of an Error", () => {
    const error = Object.assign(new TypeError("broken", { cause: new Error("why", { cause: "deep" }) }), { code: "E1" })
    expect(describeError(error)).toMatchObject({
      message: "broken",
      detail: {
        name: "TypeError",
        code: "E1",
        stack: expect.stringContaining("Payload.test.ts"),
        cause: { message: "why", name: "Error", cause: "deep" }
      }
    })
  })

  it("takes the detail as given", () => {
    expect(describeError(new Error("a"), { b: 1 })).toEqual({ message: "a", detail: { b: 1 } })
    expect(describeError("a", null)).toEqual({ message: "a", detail: null })
  })

  it("takes anything that can be thrown", () => {
    expect(describeError("text")).toEqual({ message: "text", detail: null })
    expect(describeError(undefined)).toEqual({ message: "undefined", detail: null })
    expect(describeError(Symbol("s"))).toEqual({ message: "Symbol(s)", detail: null })
    expect(describeError(Object.create(null))).toEqual({ message: "(can't be shown)", detail: null })
    for (const thrown of [revoked(), hostile()]) expect(typeof describeError(thrown).message).toBe("string")
  })

  it("is bounded, whatever its size, and always well-formed", () => {
    const huge = new Error("m".repeat(1e6))
    huge.stack = "s".repeat(1e6)
    let chain: Error = huge
    for (let i = 0; i < 100; i++) chain = new Error("x".repeat(1e5), { cause: chain })
    for (const error of [huge, chain]) {
      const payload = encodePayload(describeError(error))
      expect(isPayloadProblem(payload) || payload.size).toBeLessThan(200_000)
    }
    const loop = new Error("loop")
    loop.cause = loop
    expect(isPayloadProblem(encodePayload(describeError(loop)))).toBe(false)
    expect(describeError(`${"a".repeat(4095)}😀`).message.isWellFormed()).toBe(true)
  })
})
