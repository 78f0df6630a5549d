import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { withoutSurroundings } from "../harness/surroundings.ts"
import { type Terminal, Terminals } from "../system/tour/Terminal.ts"
import { APP_ID, FakeServer, OPERATION_ID, operation, reply } from "./FakeServer.ts"
import { TRAILS } from "./TrailsCommand.ts"

const STEP_MS = 60_000
const QUESTION = "Go on? [y/N]"
const PLAN = [
  "cancel 0b9c8f3e batch and all below it: 60 nodes, 2 levels",
  "  60 to be asked, at most 10 s each; 0 ended before"
]

let server: FakeServer
let folder = ""
let terminals: Terminals
let terminal: Terminal

beforeAll(async () => {
  server = await FakeServer.start()
  folder = mkdtempSync(join(tmpdir(), "questions-"))
  const { PATH = "" } = withoutSurroundings()
  terminals = new Terminals(folder, { HOME: folder, PATH, NO_COLOR: "1", TRAILS_SERVER: server.address })
  terminal = await terminals.open("questions", folder)
})
beforeEach(() => {
  server.reset()
  server.answer = ({ body }, response) => {
    const isPlan = body.includes('"dryRun":true')
    const plan = { id: null, state: "planned", finished_at: null, total: 60, dry_run: true }
    reply(response, isPlan ? operation(plan, { pending: 60 }) : operation({ total: 60 }, { acked: 60 }))
  }
})
afterAll(async () => {
  terminals.close()
  await server.close()
  rmSync(folder, { recursive: true })
})

/** What stands below the command when it asks, without the question itself. */
const asked = async (line: string): Promise<void> => {
  await terminal.type([line])
  await terminal.output(1, STEP_MS, (lines) => lines.at(-1)?.startsWith(QUESTION) === true)
}

const begun = () => server.asked.filter(({ body }) => body.includes("idempotencyKey")).length

describe("whoever has much to cancel is asked on a terminal", () => {
  it.each([
    ["Ctrl-C", ["C-c"], 130, `${QUESTION}`],
    ["Ctrl-D", ["C-d"], 2, `${QUESTION}`],
    ["n", ["n", "Enter"], 2, `${QUESTION} n`],
    ["nothing", ["Enter"], 2, `${QUESTION}`]
  ] as const)("%s is no, and nothing is done", async (_name, keys, code, line) => {
    await asked(`${TRAILS} cancel --cascade ${APP_ID}; echo "exit $?"`)
    for (const key of keys) terminal.press(key)
    await terminal.idle(STEP_MS)
    expect(terminal.screen.slice(-5, -1)).toEqual([PLAN[1], line, "Nothing was done.", `exit ${code}`])
    expect(begun()).toBe(0)
  })

  it("yes is yes", async () => {
    await asked(`${TRAILS} cancel --cascade ${APP_ID}; echo "exit $?"`)
    terminal.press("y")
    terminal.press("Enter")
    await terminal.idle(STEP_MS)
    expect(terminal.screen.slice(-3, -1)).toEqual([expect.stringContaining(": 60 acked in 2.0s"), "exit 0"])
    expect(begun()).toBe(1)
  })

  it("the plan is part of the question: stdout has the operation alone", async () => {
    const file = join(folder, "stdout")
    await asked(`${TRAILS} cancel --cascade --detach ${APP_ID} > ${file}`)
    expect(terminal.screen.slice(-3, -1)).toEqual(PLAN)
    terminal.press("y")
    terminal.press("Enter")
    await terminal.idle(STEP_MS)
    expect(readFileSync(file, "utf8")).toBe(`${OPERATION_ID}\n`)
  })

  it("a payload that would be typed where the question is answered is refused at once", async () => {
    await terminal.type([`${TRAILS} cancel --cascade --action tune --payload - ${APP_ID}; echo "exit $?"`])
    const shown = await terminal.output(1, STEP_MS)
    expect(shown.join("\n")).toMatch(/--payload - reads the terminal[^]*Add --yes[^]*exit 64$/)
    expect(server.asked).toEqual([])
  })
})
