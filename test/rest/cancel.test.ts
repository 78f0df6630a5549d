import { afterAll, assert, beforeAll, beforeEach, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { NewCascade } from "../../src/storage/CascadeStore.ts"
import { ID, RestFixture } from "./RestFixture.ts"

let rest: RestFixture
beforeAll(async () => {
  rest = await RestFixture.start()
})
afterAll(() => rest.stop())
beforeEach(() => rest.backstage.reset())

const PATH = `/api/v1/apps/${ID}/cancel?cascade=true`

describe("POST apps/{id}/cancel", () => {
  it("takes a cancel also by its name, and no payload with it", async () => {
    const begun: Array<NewCascade> = []
    rest.backstage.cascades.begin = (cascade) => {
      begun.push(cascade)
      return Effect.succeed(null)
    }
    const answer = await rest.post(PATH, { action: "cancel", reason: "enough" })
    // This node is not known here.
    assert.strictEqual(answer.status, 404)
    assert.deepInclude(begun[0], { action: "cancel", reason: "enough", scope: "tree" })
    assert.strictEqual((await rest.post(PATH, { action: "cancel", payload: 1 })).status, 400)
    assert.lengthOf(begun, 1)
  })

  for (const [tag, status, code] of [
    ["Conflict", 409, "conflict"],
    ["Full", 503, "overloaded"]
  ] as const) {
    it(`answers ${status} where it could not begin: ${tag}`, async () => {
      rest.backstage.cascades.begin = () => Effect.succeed({ _tag: tag })
      const answer = await rest.post(PATH, { idempotencyKey: "k" })
      assert.strictEqual(answer.status, status)
      assert.strictEqual(JSON.parse(answer.text).code, code)
    })
  }
})
