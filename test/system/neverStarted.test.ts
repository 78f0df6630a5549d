import { randomUUID } from "node:crypto"
import { afterAll, beforeAll, expect, it } from "vitest"
import { freshDatabase } from "../harness/freshDatabase.ts"
import type { RawNode } from "../harness/RawNode.ts"
import { queryPostgres } from "../harness/StoredState.ts"
import { makeEnvelope } from "../harness/TestEnvelope.ts"
import { attach, dial, rootOf } from "../harness/TestNode.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"

/** The duty of a killed holder is free after its lease, and looked for at intervals. */
const DUTY_FREE_MS = 5000

const database = await freshDatabase()
let server: Trailsd
let parent: RawNode

beforeAll(async () => {
  server = await Trailsd.start({ databaseUrl: database.url })
  parent = rootOf(server, { startDeadline: 0 })
  await attach(server, parent)
})

afterAll(async () => {
  await server.dispose()
  await database.drop()
})

/** Declares a child that will never come; returns its id and its deadline, epoch ms. */
const declare = async (startDeadline: number): Promise<{ readonly appId: string; readonly deadline: number }> => {
  const appId = randomUUID()
  const child = makeEnvelope({ appId, parentId: parent.appId, serverEp: server.url, startDeadline }, null)
  const wire = await dial(server)
  await parent.reRegister(wire)
  const declared = new Promise((resolve) => {
    parent.onFrame = (frame) => {
      if (frame.type === "declared" && frame.child_id === appId) resolve(frame)
    }
  })
  wire.send(parent.sealed({ type: "declare", app_id: parent.appId, incarnation: parent.incarnation, info: child.info }))
  await declared
  return { appId, deadline: child.scheduledAt + startDeadline * 1000 }
}

/** When the verdict was committed, by the database's clock, which is this machine's. */
const verdictAt = async (appId: string): Promise<number> => {
  const row = await waitUntil(
    `${appId} is start_failed`,
    async () =>
      (
        await queryPostgres(
          database.url,
          "SELECT extract(epoch FROM l.created_at) * 1000 AS at FROM node_log l JOIN node_status s USING (app_id) WHERE l.app_id = $1 AND l.kind = 'start_failed' AND s.status = 'start_failed'",
          [appId]
        )
      )[0],
    { withinMs: 20_000, everyMs: 50 }
  )
  return Number(row.at)
}

it("scheduled + startDeadline passed → start_failed within 1 s", async () => {
  const { appId, deadline } = await declare(2)
  const late = (await verdictAt(appId)) - deadline
  expect(late).toBeGreaterThanOrEqual(0)
  expect(late).toBeLessThanOrEqual(1000)
})

it("a deadline outlives kill -9 of the server: the verdict falls within 1 s of it", async () => {
  const { appId, deadline } = await declare(6)
  await server.kill()
  await server.start()
  expect(Date.now()).toBeLessThan(deadline)
  const late = (await verdictAt(appId)) - deadline
  expect(late).toBeGreaterThanOrEqual(0)
  expect(late).toBeLessThanOrEqual(1000)
})

it("a deadline that passed while the server was down is found once the dead holder's duty is free", async () => {
  const { appId, deadline } = await declare(1)
  await server.kill()
  const killed = Date.now()
  await waitUntil("the deadline has passed", () => Date.now() > deadline + 200)
  await server.start()
  const ready = Date.now()
  expect(await verdictAt(appId)).toBeLessThanOrEqual(Math.max(ready + 1000, killed + DUTY_FREE_MS))
})

it("never_started is a crash in the view, and the verdict is final (P9)", async () => {
  const { appId } = await declare(1)
  await verdictAt(appId)
  const [crash] = await queryPostgres(database.url, "SELECT crash_type FROM crashes WHERE app_id = $1", [appId])
  expect(crash?.crash_type).toBe("never_started")
})
