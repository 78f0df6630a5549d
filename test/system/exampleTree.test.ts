import { spawn } from "node:child_process"
import { cpSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { Level } from "../../src/protocol/Frames.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { leash } from "../harness/Leash.ts"
import { PackedClient } from "../harness/PackedClient.ts"
import { post, rest } from "../harness/Rest.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"

const ROOT = join(import.meta.dirname, "../..")
/** To pack and install, on a busy machine, milliseconds. */
const INSTALL_MS = 300_000
const ORIGINATOR = { sub: "ada", groups: ["operators"] }

interface App {
  readonly app_id: string
  readonly app_name: string
  readonly status: string
  readonly originator_sub: string | null
  readonly originator_groups: unknown
}

interface LogItem {
  readonly kind: string
  readonly seq: number | null
  readonly payload: { readonly [member: string]: unknown } | null
}

interface Page<A> {
  readonly items: ReadonlyArray<A>
}

const database = await freshDatabase()
let server: Trailsd
let packed: PackedClient
const get = async <A>(path: string): Promise<ReadonlyArray<A>> =>
  ((await rest(server.http, path)).body as Page<A>).items

const declareRoot = async (level: Level): Promise<{ readonly appId: string; readonly info: string }> => {
  const { body, status } = await post(server.http, "roots", {
    appName: "example-tree",
    secLevel: level,
    originator: ORIGINATOR
  })
  expect(status).toBe(201)
  return body as { readonly appId: string; readonly info: string }
}

/** Runs the example on the packed client; resolves to its exit code and what it printed. */
const runExample = (
  info: string,
  stepMs: number
): Promise<{ readonly code: number | null; readonly output: string }> => {
  let output = ""
  const parent = spawn(process.execPath, ["tree/parent.js"], {
    cwd: packed.folder,
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env["PATH"], TRAILS_INFO: info, STEP_MS: String(stepMs) }
  })
  const unleash = leash(parent.pid!)
  const keep = (chunk: Buffer) => (output += chunk.toString())
  parent.stdout!.on("data", keep)
  parent.stderr!.on("data", keep)
  return new Promise((resolve) =>
    parent.once("close", (code) => {
      unleash()
      resolve({ code, output })
    })
  )
}

/** What the tree must look like when the example has ended. */
const checkTree = async (rootId: string): Promise<void> => {
  const children = await get<App>(`apps/${rootId}/children`)
  const byName = new Map(children.map((child) => [child.app_name, child]))
  expect(Object.fromEntries(children.map(({ app_name, status }) => [app_name, status]))).toEqual({
    succeeds: "done",
    fails: "error",
    crashes: "crashed"
  })
  for (const { originator_groups, originator_sub } of children) {
    expect(originator_sub).toBe(ORIGINATOR.sub)
    expect(originator_groups).toEqual(ORIGINATOR.groups)
  }
  const log = async (name: string) => await get<LogItem>(`apps/${byName.get(name)!.app_id}/log`)
  const progress = (items: ReadonlyArray<LogItem>) =>
    items.filter(({ kind }) => kind === "status").map(({ payload }) => payload?.["step"])

  const succeeded = await log("succeeds")
  expect(progress(succeeded)).toEqual([1, 2, 3, 4, 5])
  expect(succeeded.filter(({ kind }) => kind === "result").map(({ payload }) => payload)).toEqual([{ rows: 1234 }])

  const failed = await log("fails")
  expect(progress(failed)).toEqual([1, 2, 3, 4, 5])
  const errors = failed.filter(({ kind }) => kind === "error").map(({ payload }) => payload)
  expect(errors).toMatchObject([
    {
      message: "the disk is full",
      detail: {
        name: "Error",
        stack: expect.stringContaining("child.js"),
        cause: { message: "ENOSPC: write to /data/orders" }
      }
    }
  ])

  const crashed = await log("crashes")
  expect(progress(crashed)).toEqual([1, 2, 3, 4, 5])
  const crashes = await get<{ readonly app_id: string; readonly crash_type: string; readonly gap_seconds: number }>(
    "crashes"
  )
  const mine = crashes.filter(({ app_id }) => app_id === byName.get("crashes")!.app_id)
  expect(mine).toMatchObject([{ crash_type: "connection_drop" }])
  expect(Number(mine[0]!.gap_seconds)).toBeGreaterThanOrEqual(1.5)

  const root = (await rest(server.http, `apps/${rootId}`)).body as App
  expect(root).toMatchObject({ status: "done", originator_sub: ORIGINATOR.sub })
  const results = (await get<LogItem>(`apps/${rootId}/log`)).filter(({ kind }) => kind === "result")
  const outcomes = results[0]?.payload?.["outcomes"] as ReadonlyArray<unknown>
  expect(outcomes).toMatchObject([
    { child: "succeeds", state: "done", result: { rows: 1234 } },
    { child: "fails", state: "error", error: "the disk is full" },
    { child: "crashes", state: "crashed", reason: "connection_drop" }
  ])
}

const stepsOf = async (rootId: string): Promise<ReadonlyArray<number>> =>
  await Promise.all(
    (await get<App>(`apps/${rootId}/children`)).map(
      async ({ app_id }) => (await get<LogItem>(`apps/${app_id}/log`)).filter(({ kind }) => kind === "status").length
    )
  )

beforeAll(() => {
  packed = PackedClient.install()
  cpSync(join(ROOT, "examples/tree"), join(packed.folder, "tree"), { recursive: true })
}, INSTALL_MS)
afterAll(() => packed?.dispose())

describe.each([
  ["embedded", undefined],
  ["Postgres", database.url]
])("the example tree, %s", (_, databaseUrl) => {
  beforeAll(async () => {
    server = await Trailsd.start(databaseUrl === undefined ? {} : { databaseUrl })
  })
  afterAll(() => server.dispose())

  const LEVELS = ["open", "signed"] as const

  it("open and signed: every state, result, error, crash and originator is right", async () => {
    const roots = await Promise.all(LEVELS.map(declareRoot))
    for (const { code, output } of await Promise.all(roots.map(({ info }) => runExample(info, 20))))
      expect(code, output).toBe(0)
    for (const { appId } of roots) await checkTree(appId)
  })

  it("open and signed: the same when trailsd is killed in the middle", async () => {
    const roots = await Promise.all(LEVELS.map(declareRoot))
    const ended = roots.map(({ info }) => runExample(info, 600))
    await waitUntil(
      "every child of both has taken a step",
      async () => {
        const steps = (await Promise.all(roots.map(({ appId }) => stepsOf(appId)))).flat()
        return steps.length === 6 && steps.every((count) => count >= 1)
      },
      { withinMs: 30_000 }
    )
    await server.kill()
    await server.start()
    for (const { code, output } of await Promise.all(ended)) expect(code, output).toBe(0)
    for (const { appId } of roots) await checkTree(appId)
  })
})

afterAll(() => database.drop())
