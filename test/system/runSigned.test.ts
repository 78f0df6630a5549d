import { afterAll, beforeAll, expect, it } from "vitest"
import { Trailsd } from "../harness/Trailsd.ts"
import { User, type Ended } from "./run/Wrapped.ts"

let server: Trailsd
let user: User

beforeAll(async () => {
  server = await Trailsd.start({ env: { TRAILS_MIN_LEVEL: "signed" } })
  user = new User(server)
})
afterAll(async () => {
  await server?.dispose()
  user?.dispose()
})

interface Item {
  readonly app_id: string
  readonly parent_id: string | null
  readonly app_name: string
  readonly level: string
  readonly status: string
}

const json = async (...args: ReadonlyArray<string>): Promise<unknown> => {
  const { code, stderr, stdout } = await user.trails([...args, "--json"]).ended
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  return JSON.parse(stdout)
}

it("the whole tree of nested runs is signed, without any option, and the command line reads it", async () => {
  const script = `trails run --name extract -- sleep 1 & trails run --name load -- sh -c "echo boom >&2; exit 3"; wait`
  const { code, stderr } = await user.run("etl", script).ended
  expect({ code, stderr }).toEqual({ code: 0, stderr: "boom\n" })

  const { items } = (await json("tree")) as { readonly items: ReadonlyArray<Item> }
  expect(items.map(({ app_name, level, status }) => `${app_name} ${level} ${status}`).toSorted()).toEqual([
    "etl signed done",
    "extract signed done",
    "load signed error"
  ])
  const [root, ...children] = items
  expect(children.map(({ parent_id }) => parent_id)).toEqual([root?.app_id, root?.app_id])

  const waited = async (name: string): Promise<Ended> =>
    await user.trails(["wait", items.find(({ app_name }) => app_name === name)!.app_id.slice(0, 8)]).ended
  expect(await waited("extract")).toMatchObject({ code: 0, stdout: expect.stringContaining('{"exit_code":0,') })
  const failed = await waited("load")
  expect(failed.code).toBe(1)
})

it("without the administrator's key nothing can be founded: one line says what is missing, and the command runs", async () => {
  const elsewhere = { HOME: user.folder }
  const run = user.trails(["run", "--name", "keyless", "--", "sh", "-c", "sleep 1; exit 3"], elsewhere)
  const { code, stderr } = await run.ended
  expect(code).toBe(3)
  expect(stderr).toMatch(
    /^trails: keyless: nothing of it was reported \(The server at .* wants signed requests, and no key/
  )
  expect(stderr.trimEnd().split("\n")).toHaveLength(1)
})
