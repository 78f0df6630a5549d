import { randomUUID } from "node:crypto"
import { expect, it } from "vitest"
import { remember } from "../../src/actors/node/toldCommands.ts"
import type { NodeCell } from "../../src/actors/node/NodeCell.ts"
import { commandRow } from "../rest/commandRow.ts"

it("a session that answers nothing is remembered no more than what it could still answer", () => {
  const cell: Pick<NodeCell, "commands"> = { commands: null }
  for (let now = 1000; now < 100_000; now += 1000) {
    remember(cell, [commandRow({ correlationId: randomUUID(), expiresAt: now + 3000 })], now)
  }
  expect(cell.commands?.size).toBe(3)
})
