import { afterAll, expect, it } from "vitest"
import { Database } from "../../src/storage/Database.ts"
import { appendControl } from "../../src/storage/sql/append.ts"
import {
  dueCascade,
  forceCascade,
  giveUpCascade,
  releaseCascade,
  resolveCascade
} from "../../src/storage/sql/cascade/advance.ts"
import { exitsAfter } from "../../src/storage/sql/cascade/exits.ts"
import { beginCascade, withdrawScheduled } from "../../src/storage/sql/cascade/plan.ts"
import { openCascades, runningCascades } from "../../src/storage/sql/cascade/running.ts"
import {
  expireCommands,
  expireEnded,
  expireLeft,
  listCommands,
  listOpenCommands,
  openCommands,
  readCommand,
  sendCommand,
  throughCommands,
  untoldNodes
} from "../../src/storage/sql/commands.ts"
import { keyHolder, nearestHolder } from "../../src/storage/sql/keyHolder.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { openStorage, postgres } from "./openStorage.ts"

const database = await freshDatabase()
const storage = openStorage(postgres(database.url, { lanes: 1 }))
const ID = "'00000000-0000-4000-8000-000000000001'"
/** A lane plans once for all: here while the tables are new, as after a first start. */
const onLane = async (text: string) => {
  const { lanes } = await storage.runPromise(Database)
  return await storage.runPromise(lanes[0]!.query({ name: "", text }, []))
}

afterAll(async () => {
  await storage.dispose()
  await database.drop()
})

const planOf = async (text: string, types: string, args: string): Promise<string> => {
  await onLane(`prepare planned(${types}) as ${text}`)
  const rows = await onLane(`explain execute planned(${args})`)
  await onLane("deallocate planned")
  return rows.map((row) => row["QUERY PLAN"]).join("\n")
}

it.for([
  ["an append about commands", appendControl.text, "jsonb", "'[]'"],
  ["asking the next level", releaseCascade.text, "uuid", ID],
  ["noting who is through", resolveCascade.text, "uuid", ID],
  ["who is out of patience", dueCascade.text, "uuid", ID],
  ["forcing", forceCascade.text, "uuid, jsonb", `${ID}, '[]'`],
  ["giving up", giveUpCascade.text, "uuid", ID],
  ["what is to be told", openCommands.text, "jsonb", "'[]'"],
  [
    "sending",
    sendCommand.text,
    "uuid, uuid, text, text, text, text, text, float8",
    `${ID}, ${ID}, 'a', 'null', 'b', null, null, 1`
  ],
  ["one command", readCommand.text, "uuid, uuid", `${ID}, ${ID}`],
  ["which commands are through", throughCommands.text, "jsonb", "'[]'"],
  ["withdrawing", withdrawScheduled.text, "uuid", ID],
  ["whose key it is", keyHolder.text, "text", "'k'"],
  ["who is above", nearestHolder.text, "text, uuid", `'k', ${ID}`],
  [
    "a plan",
    beginCascade.text,
    "uuid, text, jsonb, text, int4, int4, uuid, uuid, text, text, text, text, text, boolean",
    `${ID}, 'tree', null, 'cancel', 1, null, null, ${ID}, 'null', 'r', 'i', null, null, true`
  ],
  ["which operations have work", runningCascades.text, "uuid, int4", `${ID}, 10`],
  ["how many operations are open", openCascades.text, "uuid, text, int4", `${ID}, 'i', 10`],
  ["expiring what ended nodes were told", expireEnded.text, "int8, int4", "0, 10"],
  ["ends with consequences", exitsAfter.text, "int8, int4", "0, 10"]
] as const)(
  "%s probes a key for each row, also by a plan that was made when there was nothing",
  async ([, text, types, args]) => {
    const plan = await planOf(text, types, args)
    expect(plan).not.toMatch(/Seq Scan|Hash Join|Merge Join/)
    // A scan without a condition goes through all there is.
    const lines = plan.split("\n")
    const aimless = lines.filter(
      (line, at) => /Index (Only )?Scan/.test(line) && !/Index Cond/.test(lines[at + 1] ?? "")
    )
    expect(aimless).toEqual([])
  }
)

it.for([
  ["told", listCommands.text, /control_queue_app on/],
  ["still to answer", listOpenCommands.text, /control_queue_open on/]
] as const)("what a node was %s is read in its order, as much as is shown", async ([, text, index]) => {
  const plan = await planOf(text, "uuid, int8, int4", `${ID}, null, 10`)
  expect(plan).toMatch(index)
  expect(plan).toMatch(/Index Cond: \(\(app_id = \$1\) AND \(id < /)
  expect(plan).not.toMatch(/Sort/)
})

it("probes of one node of an operation do not walk through its level", async () => {
  for (const { text } of [releaseCascade, resolveCascade, forceCascade, giveUpCascade]) {
    const plan =
      text === forceCascade.text ? await planOf(text, "uuid, jsonb", `${ID}, '[]'`) : await planOf(text, "uuid", ID)
    // Per node: by both columns of the key.
    expect(plan).toMatch(/cascade_nodes_pkey[^\n]*\n *Index Cond: \(\(operation = \$1\) AND \(app_id = ANY/)
  }
})

it("forcing some goes through no level", async () => {
  const plan = await planOf(forceCascade.text, "uuid, jsonb", `${ID}, '[]'`)
  expect(plan).not.toMatch(/Join Filter|cascade_nodes_(level|open)/)
})

it.for([
  ["untold", untoldNodes.text, "uuid, uuid, int4", `${ID}, null, 10`],
  ["expired", expireCommands.text, "int4", "10"],
  ["ended", expireLeft.text, "int4", "10"]
] as const)("looking for %s commands goes through those without an answer alone", async ([, text, types, args]) => {
  const plan = await planOf(text, types, args)
  expect(plan).toMatch(/control_queue_(open|expiry) on control_queue/)
  expect(plan).not.toMatch(/Seq Scan/)
  // Once, and from there each row by its key.
  const aimless = plan
    .split("\n")
    .filter((line, at, lines) => /Index .*Scan/.test(line) && !/Index Cond/.test(lines[at + 1] ?? ""))
  expect(aimless.length).toBeLessThanOrEqual(1)
})
