import { assert, describe, it } from "@effect/vitest"
import { decodeClientFrame, isFrameProblem, peekAppId } from "../../src/protocol/FrameDecoder.ts"
import { encodeFrame } from "../../src/protocol/FrameEncoder.ts"
import type { MessageFrame } from "../../src/protocol/Frames.ts"
import { decodeServerFrame } from "../../src/protocol/ServerFrameDecoder.ts"
import { attachNull } from "../../src/protocol/SignedFrame.ts"
import { APP, DISCONNECT, HEADER, MESSAGE, PARENT, textOf } from "../conformance/FrameExamples.ts"
import { Seeded } from "../conformance/Seeded.ts"
import { writeObject, writeValue } from "./JsonWriter.ts"

const decode = (text: string, dialect: "v1" | "legacy" = "v1") =>
  decodeClientFrame(text, Buffer.byteLength(text), dialect)

describe("decodeClientFrame", () => {
  it("keeps the payload's exact text in 3,000 seeded frames, in any spelling of the frame", () => {
    const random = new Seeded("payloads")
    for (let round = 0; round < 3000; round++) {
      const payload = writeValue(random, random.int(10))
      const fixed = new Map(Object.entries(MESSAGE).map(([key, value]) => [key, JSON.stringify(value)]))
      const { text } = writeObject(random, new Map([...fixed, ["payload", payload], ["sig", "null"]]))
      const decoded = decode(text)
      if (isFrameProblem(decoded)) return assert.fail(`${decoded.message}: ${text}`)
      assert.strictEqual(decoded.payload, payload)
      assert.strictEqual(decoded.raw, text)
    }
  })

  it("takes no member from a value inside: app_id and header of the payload are the application's", () => {
    const decoded = decode(
      textOf(MESSAGE, "payload", JSON.stringify({ app_id: PARENT, header: { ...HEADER, seq: 99 } }))
    )
    if (isFrameProblem(decoded)) return assert.fail(decoded.message)
    assert.strictEqual(decoded.frame.app_id, APP)
    assert.strictEqual((decoded.frame as MessageFrame).header.seq, 1)
  })

  it("never throws, and closes the socket only for what is not JSON: 20,000 damaged frames", () => {
    const random = new Seeded("damaged frames")
    const texts = [textOf(MESSAGE, "payload", '{"a":[1,"\\u0000"]}'), textOf(DISCONNECT)]
    for (let round = 0; round < 20_000; round++) {
      const text = random.pick(texts)
      const at = random.int(text.length)
      const damaged =
        text.slice(0, at) +
        random.pick(["", '"', "{", "}", "0", "\\", ",", "\ud800", "null"]) +
        text.slice(at + random.int(4))
      const decoded = decode(damaged, random.pick(["v1", "legacy"]))
      let json = true
      try {
        JSON.parse(damaged)
      } catch {
        json = false
      }
      if (!isFrameProblem(decoded)) assert.isTrue(json, damaged)
      else assert.strictEqual(decoded.fatal, !json, damaged)
    }
  })

  it("another fault in front does not hide that a text is not JSON", () => {
    const deep = "[".repeat(40)
    for (const text of [
      '{"a":1,"a":1 garbage',
      '{"a":1,"a":1',
      `{"a":${deep}`,
      `{"a":${deep}${"]".repeat(39)}}`,
      `{${Array.from({ length: 70 }, (_, index) => `"m${index}":0`).join(",")},}`,
      '{"a\\u0062":1,}'
    ]) {
      const decoded = decode(text)
      assert.isTrue(isFrameProblem(decoded) && decoded.fatal, text)
    }
  })

  it("the message of a refusal names the field and never repeats what came", () => {
    const secret = "hunter2".repeat(10)
    for (const text of [
      textOf({ ...MESSAGE, incarnation: secret }),
      textOf({ ...MESSAGE, type: secret }),
      textOf({ ...DISCONNECT, seq: secret }),
      `{"${secret}":1,"${secret}":2}`,
      secret
    ]) {
      const decoded = decode(text)
      assert.isTrue(isFrameProblem(decoded))
      if (isFrameProblem(decoded)) assert.notInclude(decoded.message, "hunter2")
    }
  })
})

describe("peekAppId", () => {
  it("agrees with the decoder on every frame that this takes, and gives null or a UUID for anything", () => {
    const random = new Seeded("peek")
    for (let round = 0; round < 5000; round++) {
      const fixed = new Map(Object.entries(MESSAGE).map(([key, value]) => [key, JSON.stringify(value)]))
      const { text } = writeObject(random, new Map([...fixed, ["payload", "1"], ["sig", "null"]]))
      const at = random.int(text.length)
      const damaged =
        random.int(2) === 0 ? text : text.slice(0, at) + random.pick(["", '"', "{", "\\"]) + text.slice(at + 1)
      const decoded = decode(damaged)
      const peeked = peekAppId(damaged)
      if (!isFrameProblem(decoded)) assert.strictEqual(peeked, decoded.frame.app_id, damaged)
      if (peeked !== null) assert.match(peeked, /^[0-9a-f-]{36}$/)
    }
  })

  it("is not misled by an app_id inside a value, nor by a second one", () => {
    assert.strictEqual(peekAppId(`{"payload":{"app_id":"${PARENT}"},"app_id":"${APP}"}`), APP)
    for (const value of [
      `"${APP}x"`,
      `"x${APP}"`,
      `["${APP}"]`,
      "7",
      `"${"g".repeat(36)}"`,
      "null",
      `${"1".repeat(38)}`
    ]) {
      assert.isNull(peekAppId(`{"app_id":${value}}`), value)
    }
    assert.isNull(peekAppId(`{"payload":"\\"app_id\\":\\"${PARENT}\\""}`))
    assert.strictEqual(peekAppId(`{"app_id":"${APP}","app_id":"${PARENT}"}`), APP)
    assert.isTrue(
      isFrameProblem(decode(`{"app_id":"${APP}","app_id":"${PARENT}"}`)),
      "the decoder refuses it afterwards"
    )
  })
})

describe("encodeFrame", () => {
  it("puts the application's text in unread", () => {
    const text = '{"n":9223372036854775807,"a":1,"a":2}'
    const frame = { ...MESSAGE } as unknown as MessageFrame
    const decoded = decode(attachNull(encodeFrame(frame, text)))
    if (isFrameProblem(decoded)) return assert.fail(decoded.message)
    assert.strictEqual(decoded.payload, text)
    const control = encodeFrame(
      {
        type: "control",
        app_id: APP,
        incarnation: 1,
        session: PARENT,
        epoch: 1,
        action: "go",
        correlation_id: "c",
        payload: null,
        issued_by: "admin",
        issued_at: 1,
        expires_at: 2
      },
      text
    )
    const received = decodeServerFrame(attachNull(control))
    if (isFrameProblem(received)) return assert.fail(received.message)
    assert.strictEqual(received.payload, text)
  })

  it("refuses an application's value where no frame has one", () => {
    assert.throws(() => encodeFrame({ type: "ack", app_id: APP, incarnation: 1, seq: 1 }, "1"))
  })
})
