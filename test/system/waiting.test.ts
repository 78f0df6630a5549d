import { randomUUID } from "node:crypto"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { freshDatabase } from "../harness/freshDatabase.ts"
import type { RawNode } from "../harness/RawNode.ts"
import { type Answer, post, rest } from "../harness/Rest.ts"
import { attach, childOf, rootOf } from "../harness/TestNode.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"

type Body = Readonly<Record<string, any>> // eslint-disable-line typescript/no-explicit-any

const bodyOf = ({ body }: Answer): Body => body as Body

const waitersOf = async (server: Trailsd): Promise<number> => {
  const text = await (await fetch(`${server.http}/metrics`)).text()
  return Number(/^trails_waiters(?:\{.*\})? (\d+)/m.exec(text)?.[1])
}

const database = await freshDatabase()
afterAll(() => database.drop())

describe.each([
  ["embedded", {}, 1],
  // Replicas of one database: the second one hears of the first one's commits by its sweep alone.
  ["Postgres", { databaseUrl: database.url }, 2]
] as const)("who waits, %s", (_name, options, replicas) => {
  let home: Trailsd
  let asked: Trailsd
  let root: RawNode
  beforeAll(async () => {
    const started = await Promise.all(Array.from({ length: replicas }, () => Trailsd.start(options)))
    home = started[0]!
    asked = started.at(-1)!
    root = rootOf(home, { startDeadline: 0 })
    await attach(home, root)
  })
  afterAll(async () => {
    await home.dispose()
    if (asked !== home) await asked.dispose()
  })

  it("100 who wait for a node get one answer each", async () => {
    const child = childOf(home, root)
    await attach(home, child)
    const answers = Array.from({ length: 100 }, () => rest(asked.http, `apps/${child.appId}/wait?timeout=10`))
    await waitUntil("all wait", async () => (await waitersOf(asked)) === 100)
    child.status({ percent: 50 })
    child.result({ rows: 7 })
    for (const answer of await Promise.all(answers)) {
      expect(bodyOf(answer)).toMatchObject({
        app_id: child.appId,
        status: "done",
        ended: true,
        outcome: { state: "done", payload: { rows: 7 } },
        snapshot: { percent: 50 }
      })
    }
    expect(await waitersOf(asked)).toBe(0)
  })

  it("a tree is told again when something below has happened", async () => {
    const before = bodyOf(await rest(asked.http, `apps/${root.appId}/tree`))
    const later = rest(asked.http, `apps/${root.appId}/tree?after=${before["cursor"]}&timeout=10`)
    await waitUntil("it waits", async () => (await waitersOf(asked)) === 1)
    const child = childOf(home, root, { appName: "late" })
    await attach(home, child)
    const after = bodyOf(await later)
    expect(after["unchanged"]).toBe(false)
    expect(after["items"].length).toBe(before["items"].length + 1)
    expect(after["items"].at(-1)).toMatchObject({ app_id: child.appId, depth: 1, status: "connected" })
    const quiet = await rest(asked.http, `apps/${root.appId}/tree?after=${after["cursor"]}&timeout=1500ms`)
    expect(bodyOf(quiet)).toMatchObject({ items: [], unchanged: true })
  })

  it("a root by an id of the caller's own is made once, and given again", async () => {
    const body = { appName: "mine", appId: randomUUID(), tags: { é: [1, "\u0000"] } }
    const first = await post(home.http, "roots", body)
    expect(first).toMatchObject({ status: 201, body: { appId: body.appId, created: true } })
    const again = await post(home.http, "roots", body)
    expect(again).toEqual({ status: 200, body: { ...bodyOf(first), created: false } })
    expect(await post(home.http, "roots", { ...body, appName: "another" })).toMatchObject({
      status: 409,
      body: { code: "exists" }
    })
    const [newest] = bodyOf(await rest(asked.http, "apps?roots=true&order=newest&limit=1"))["items"]
    expect(newest.app_id).toBe(body.appId)
    const found = bodyOf(await rest(asked.http, `apps?prefix=${body.appId.slice(0, 13)}`))["items"]
    expect(found.map((row: Body) => row["app_id"])).toEqual([body.appId])
  })

  it("a server that stops does not wait for them", async () => {
    const waiting = rest(asked.http, `apps/${root.appId}/wait?timeout=60`)
    await waitUntil("it waits", async () => (await waitersOf(asked)) === 1)
    const [answer, exited] = await Promise.all([waiting, asked.stop()])
    expect(answer).toMatchObject({ status: 503, body: { code: "going_away" } })
    expect(exited).toEqual({ code: 0, signal: null })
  })
})
