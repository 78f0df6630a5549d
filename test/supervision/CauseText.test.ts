import { assert, describe, it } from "@effect/vitest"
import { Cause, Data } from "effect"
import { causeText } from "../../src/supervision/CauseText.ts"

class Broken extends Data.TaggedError("Broken")<{ readonly message: string; readonly key: string }> {}

describe("the text of a cause", () => {
  it("names the error by tag and message, and no other member of it", () => {
    assert.strictEqual(causeText(Cause.fail(new Broken({ message: "no pipe", key: "k3y" }))), "Broken: no pipe")
  })
  it("prefers the failure to the defect and the interruption", () => {
    assert.strictEqual(causeText(Cause.combine(Cause.interrupt(), Cause.fail("a"))), "a")
  })
  it("says what an interruption is", () => {
    assert.strictEqual(causeText(Cause.interrupt()), "interrupted")
  })
  it("is one line of at most 300 characters", () => {
    const text = causeText(Cause.die(new Error(`a\nb\t${"x".repeat(1_000)}`)))
    assert.match(text, /^Error: a b x+…$/)
    assert.strictEqual(text.length, 300)
  })
  it("shows nothing of a value that is not an error", () => {
    assert.strictEqual(causeText(Cause.die({ password: "s3cret" })), "object")
  })
  for (const [name, message] of [
    ["credentials in a URL", "connect postgres://trails:s3cret@db:5432/x failed"],
    ["a password in a URL without a user", "connect postgres://:s3cret@db/x failed"],
    ["a password parameter", "host=db password=s3cret user=x"],
    ["a quoted password", "password: 's3cret word'"],
    ["a bearer token", "Authorization: Bearer s3cret"],
    ["a private key", "bad key -----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY----- here"],
    ["a private key that is cut off", "-----BEGIN EC PRIVATE KEY-----\ns3cret"]
  ] as const) {
    it(`removes ${name} (P15)`, () => {
      const text = causeText(Cause.fail(new Error(message)))
      assert.notInclude(text, "s3cret")
      assert.include(text, "<redacted>")
    })
  }
})
