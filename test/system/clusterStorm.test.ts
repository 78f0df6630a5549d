import { expect, it } from "vitest"
import { clusterStormFailures, type ClusterStormReport } from "./ClusterStorm.ts"

const good: ClusterStormReport = {
  nodes: 10_000,
  level: "open",
  replicas: 3,
  lost: 3334,
  attachedMs: 60_000,
  stalls: [
    { longestStallMs: 500, stallCpuMs: 400 },
    { longestStallMs: 20, stallCpuMs: 20 }
  ],
  leasesLost: 0,
  verdicts: 0,
  astray: 0,
  failures: { "connect ECONNREFUSED": 12 }
}

it("a storm on several replicas that keeps its limits has not failed", () => {
  expect(clusterStormFailures(good)).toEqual([])
})

it.for([
  [{ attachedMs: 60_001 }, "it took 60001 ms until all were back"],
  [
    { stalls: [{ longestStallMs: 501, stallCpuMs: 7 }] },
    "the event loop of a survivor stood still for 501 ms (cpu 7 ms)"
  ],
  [{ leasesLost: 1 }, "1 survivors lost their lease"],
  [{ verdicts: 2 }, "2 nodes were declared dead"],
  [{ astray: 3 }, "3 nodes have no session at a survivor"]
] as const)("%o → %s", ([change, failure]) => {
  expect(clusterStormFailures({ ...good, ...change })).toEqual([failure])
})
