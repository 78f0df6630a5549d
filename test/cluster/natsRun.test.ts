import { expect, it } from "vitest"
import { trafficKinds } from "./CrossTraffic.ts"
import { allNatsTroubles, natsRun } from "./NatsRun.ts"

const kinds = allNatsTroubles.filter((kind) => kind !== "none")

it("commands, cascades and waits between replicas complete, once, while NATS is cut off, slow, doubling, reordering or losing everything", async () => {
  const lines: Array<string> = []
  const { failures, took } = await natsRun({
    kinds,
    forMs: 2000,
    rate: 10,
    // P20, and not from the healing on: from when it was asked for. A poll finds a row within a second.
    withinMs: 30_000,
    seed: 6,
    log: (line) => lines.push(line)
  })
  console.log(lines.join("\n"))
  expect(failures).toEqual([])
  expect([...took.keys()]).toEqual(kinds)
  expect(
    Math.min(...[...took.values()].flatMap((one) => trafficKinds.map((kind) => one[kind].length)))
  ).toBeGreaterThan(2)
})
