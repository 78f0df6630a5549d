import { spawn } from "node:child_process"
import { join, resolve } from "node:path"
import { afterAll, beforeAll, expect, it } from "vitest"
import { leash } from "../harness/Leash.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { type Row, Tree } from "./run/Tree.ts"
import { User } from "./run/Wrapped.ts"

const EXAMPLE = resolve(import.meta.dirname, "../../scripts/example.mjs")

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

/** As `npm run example -- NAME` does; what it prints. */
const example = async (name: string): Promise<string> => {
  const child = spawn(process.execPath, [EXAMPLE, name], {
    cwd: join(import.meta.dirname, "../.."),
    env: user.env,
    stdio: ["ignore", "pipe", "pipe"]
  })
  const unleash = leash(child.pid!)
  let output = ""
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (output += text))
  const code = await new Promise((done) => child.once("close", done))
  unleash()
  expect({ code, output }).toEqual({ code: 0, output })
  return output
}

/** Names and states of a tree, children in brackets, siblings by name. */
const shape = async (row: Row): Promise<string> => {
  const children = await Promise.all((await tree.children(row)).map(shape))
  const below = children.length === 0 ? "" : ` [${children.toSorted().join(", ")}]`
  return `${row.app_name} ${row.status}${below}`
}

const shapeOf = async (name: string): Promise<string> => await shape(await tree.node(name))

it("pipeline: steps in sequence, side by side and within each other, and one that fails", async () => {
  await example("pipeline")
  expect(await shapeOf("pipeline")).toBe(
    "pipeline error [even done, generate done, odd done, publish error, sum done [add done]]"
  )
  expect(await tree.said(await tree.node("sum"), "result")).toMatchObject({ result: { total: 500_500 } })
})

it("python: a job that only calls trails report", async () => {
  await example("python")
  const row = await tree.node("training")
  expect(row.status).toBe("done")
  expect(await tree.said(row, "result")).toMatchObject({ result: { points: 200_000 } })
  const steps = (await tree.log(row)).flatMap(({ payload }) =>
    payload !== null && "step" in payload ? [payload["step"]] : []
  )
  expect(steps).toEqual([1, 2, 3, 4])
})

it("wrapped-worker: a program that is a node by itself, and the run around it, are one tree", async () => {
  await example("wrapped-worker")
  expect(await shapeOf("worker")).toBe(
    "worker done [sh done [task-1 done, task-2 done, task-3 error, task-4 done, task-5 done]]"
  )
})

it("make: recipes that are runs, one job server for all, and the words of the compiler", async () => {
  expect(await example("make")).not.toMatch(/jobserver|warning/)
  expect(await shapeOf("build")).toBe(
    "build error [broken.o error, count/libcount.a done [libcount.a done, one.o done, two.o done], greet.o done, hello done, main.o done]"
  )
  const error = await tree.said(await tree.node("broken.o"), "error")
  expect(error).toMatchObject({ exit_code: 1 })
  expect(error["stderr_tail"]).toMatch(/broken\.c:1:.*missing.* undeclared/)
})
