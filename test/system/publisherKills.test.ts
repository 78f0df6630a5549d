import { expect, it } from "vitest"
import { publisherKills } from "./events/PublisherKills.ts"

it("a durable consumer of one subtree sees every committed event, in order per node, whoever is killed", async () => {
  const report = await publisherKills({ kills: 3, reports: 30 })
  expect(report).toMatchObject({ missing: [], outOfOrder: [], unverified: [], unknown: [], storedTwice: 0 })
  expect(report.events).toBeGreaterThan(5 * 4 * 30)
})
