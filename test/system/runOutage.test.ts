import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "vitest"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { Tree } from "./run/Tree.ts"
import { User } from "./run/Wrapped.ts"

let server: Trailsd
let user: User
const tree = new Tree(() => server.http)

beforeAll(async () => {
  server = await Trailsd.start()
  user = new User(server)
})
afterAll(async () => {
  await server?.dispose()
  user?.dispose()
})

/** A file that scripts wait for. */
const gate = (name: string) => {
  const path = join(user.folder, name)
  return { wait: `while [ ! -e '${path}' ]; do sleep 0.1; done`, open: () => writeFileSync(path, "") }
}

it("an end that can't be told within 5 s is told by a process in the background", async () => {
  const end = gate("end")
  const run = user.run("bereaved", `trails report '"before"'; ${end.wait}; echo gone >&2; exit 7`, "--tag", "a=b")
  const before = await tree.node("bereaved", ({ status }) => status === "running")
  await server.kill()
  end.open()
  const { code, stderr } = await run.ended
  expect(code).toBe(7)
  expect(stderr).toMatch(/^trails: bereaved: its end is not delivered yet; a process in the background tries/m)
  await server.start()
  const after = await tree.node("bereaved", ({ status }) => status === "error", 60_000)
  expect(after).toMatchObject({ app_id: before.app_id, pid: before.pid })
  expect(await tree.said(after, "error")).toMatchObject({ exit_code: 7, stderr_tail: "gone\n" })
})

it("runs go on over a server that is killed and started again, and every exit is told", async () => {
  const count = 12
  const during = gate("during")
  const after = gate("after")
  const job = (number: number) => {
    const wait = number % 2 === 0 ? during.wait : after.wait
    return `trails run --name job${number} -- sh -c "${wait}; exit ${number % 3}" &`
  }
  const run = user.run("jobs", `${Array.from({ length: count }, (_, number) => job(number)).join("\n")}\nwait`)
  const root = await tree.node("jobs", ({ status }) => status === "running")
  // Some of them have not met the server yet when it dies.
  await waitUntil("most of the jobs run", async () => (await tree.children(root)).length >= count / 2, {
    withinMs: 60_000
  })
  await server.kill()
  during.open()
  await server.start()
  after.open()
  expect((await run.ended).code).toBe(0)
  const jobs = await waitUntil(
    "every job has ended",
    async () => {
      const rows = await tree.children(root)
      return rows.length === count && rows.every(({ status }) => status === "done" || status === "error") ? rows : null
    },
    { withinMs: 60_000 }
  )
  for (const { app_name, status } of jobs) {
    const expected = Number(app_name.slice(3)) % 3 === 0 ? "done" : "error"
    expect(`${app_name} ${status}`).toBe(`${app_name} ${expected}`)
  }
  await tree.node("jobs", ({ status }) => status === "done")
})
