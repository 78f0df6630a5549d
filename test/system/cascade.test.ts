import { readdirSync, readFileSync } from "node:fs"
import { afterAll, afterEach, beforeAll, expect, it } from "vitest"
import { post } from "../harness/Rest.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { type Cascade, GRACE_S, Grove, SMALL } from "./cascade/Grove.ts"
import { Tree } from "./run/Tree.ts"
import { User } from "./run/Wrapped.ts"

/** Command lines of processes that hold this text. */
const processesOf = (text: string): ReadonlyArray<string> =>
  readdirSync("/proc").flatMap((name) => {
    try {
      const line = /^\d+$/.test(name) ? readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ") : ""
      return line.startsWith(text) ? [line] : []
    } catch {
      return []
    }
  })

let server: Trailsd
let user: User
let grove: Grove | null = null
const tree = new Tree(() => server.http)

beforeAll(async () => {
  server = await Trailsd.start()
  user = new User(server)
})
afterEach(async () => {
  await grove?.dispose()
  grove = null
})
afterAll(async () => {
  await server?.dispose()
  user?.dispose()
})

it("ends a tree of processes and strangers from the bottom, forces the stubborn, and its report adds up", async () => {
  grove = new Grove(server, user)
  await grove.grow()
  const cancel = user.trails([
    "cancel",
    "--cascade",
    "--json",
    "--reason",
    "over",
    "--grace",
    String(GRACE_S),
    grove.rootId
  ])
  const { code, stdout } = await cancel.ended
  const cascade = JSON.parse(stdout) as Cascade
  expect(cascade).toMatchObject({
    state: "done",
    total: 50,
    levels: 4,
    counts: { acked: 47, forced: 3, unreachable: 0, refused: 0, already_terminal: 0, pending: 0, asked: 0 }
  })
  expect(code).toBe(1)
  const tookMs = Date.parse(cascade.finished_at) - Date.parse(cascade.created_at)
  expect(tookMs).toBeLessThanOrEqual(4 * GRACE_S * 1000 + 10_000)
  expect(await grove.disorder()).toEqual([])
  expect(grove.obeyed).toEqual(Array.from({ length: 10 }, () => "over"))
  await waitUntil("no process is left", () => grove!.pids().length === 0, { withinMs: 5000 })
  expect((await grove.tree()).every(({ status }) => status === "cancelled")).toBe(true)
})

it("nothing survives that is born meanwhile, declared or not", async () => {
  const marker = `sleep 97${process.pid}`
  const run = user.run(
    "hatchery",
    `i=0; while :; do i=$((i + 1)); trails run --name "hatched$i" --grace 1 -- ${marker} & sleep 0.4; done`,
    "--grace",
    "2"
  )
  const root = await tree.node("hatchery", ({ status }) => status === "running")
  await waitUntil("some have hatched", async () => (await tree.children(root)).length >= 5, { withinMs: 30_000 })
  // Intents, some of which register while the tree is being cancelled.
  const declaring = new AbortController()
  const refusals: Array<number> = []
  const declare = (async () => {
    while (!declaring.signal.aborted) {
      const info = Buffer.from(
        JSON.stringify({
          v: 1,
          mode: "full",
          appId: crypto.randomUUID(),
          parentId: root.app_id,
          appName: "declared",
          serverEp: server.url,
          secLevel: "open",
          scheduledAt: Date.now(),
          startDeadline: 300
        })
      ).toString("base64")
      const { body, status } = await post(server.http, "children", { info })
      if (status !== 201) refusals.push((body as { readonly code: string }).code === "parent_sealed" ? 0 : status)
      else user.trails(["run", "--", "sleep", marker.slice(6)], { TRAILS_INFO: info })
    }
  })()
  const { code } = await user.trails(["cancel", "--cascade", root.app_id, "--grace", "3"]).ended
  await waitUntil("declarations are refused", () => refusals.length > 0)
  declaring.abort()
  await declare
  // A machine that is busy with births may need more than the grace for some.
  expect([0, 1]).toContain(code)
  expect(new Set(refusals)).toEqual(new Set([0]))
  await run.ended
  await waitUntil(
    "every node has ended",
    async () => (await tree.children(root)).every(({ status }) => status === "cancelled" || status === "error"),
    { withinMs: 20_000 }
  )
  await waitUntil("no process is left", () => processesOf(marker).length === 0, { withinMs: 20_000 })
})

it("goes on over a kill -9 of trailsd, from where it was, and ends complete", async () => {
  grove = new Grove(server, user, SMALL)
  await grove.grow()
  const begun = (await post(server.http, `apps/${grove.rootId}/cancel?cascade=true`, { graceMs: GRACE_S * 1000 }))
    .body as Cascade
  await waitUntil("the second level is being asked", async () => {
    const { counts } = await grove!.cascade(begun.id)
    return (counts["acked"] ?? 0) > 0
  })
  await server.kill()
  await server.start()
  const done = await waitUntil(
    "the operation is through",
    async () => {
      const cascade = await grove!.cascade(begun.id, 5)
      return cascade.state === "done" ? cascade : null
    },
    { withinMs: 60_000 }
  )
  expect(done.total).toBe(grove.size)
  expect(Object.values(done.counts).reduce((sum, count) => sum + count, 0)).toBe(grove.size)
  expect(await grove.disorder()).toEqual([])
  await waitUntil("no process is left", () => grove!.pids().length === 0, { withinMs: 30_000 })
})
