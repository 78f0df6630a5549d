import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"
import { dropSurroundings } from "./test/harness/surroundings.ts"

// `TRAILS_TEST_DATABASE_URL` is set afterwards, by the global set-up.
dropSurroundings()

/**
 * Whole processes that mostly wait, and hold nothing to a time that a neighbour could spoil. Those that build or pack something
 * are not among them: they share a folder.
 */
const besideEachOther = [
  "cascade",
  "command",
  "draining",
  "exampleTree",
  "hijackClient",
  "hijackIntruder",
  "hijackServer",
  "keyCustody",
  "legacyTranscripts",
  "malformed",
  "nats",
  "publisherKills",
  "run",
  "runOutage",
  "runSigned",
  "sdk",
  "terminalModes",
  "tour",
  "treeEvents",
  "waiting"
].map((name) => `test/system/${name}.test.ts`)

export default defineConfig({
  test: {
    globalSetup: ["test/harness/globalSetup.ts"],
    pool: "forks",
    teardownTimeout: 30_000,
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/system/**", "test/cluster/**"],
          testTimeout: 20_000,
          hookTimeout: 60_000,
          // Many tests wait for a deadline: two of them fit on one core.
          maxWorkers: Math.max(2, availableParallelism() - 1),
          // vitest runs a group 0 of one worker last.
          sequence: { groupOrder: 1 }
        }
      },
      {
        extends: true,
        test: {
          name: "programs",
          include: [...besideEachOther, "test/cluster/**/*.test.ts"],
          maxWorkers: 2,
          testTimeout: 180_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 2 }
        }
      },
      {
        // Killed and started again, or held to a time: one file after the other, when the others are done.
        extends: true,
        test: {
          name: "system",
          include: ["test/system/**/*.test.ts"],
          // Chromium is too large to be had for every run of the tests: `npm run test:browser` installs it.
          exclude: [
            ...besideEachOther,
            ...(process.env["WITH_BROWSER"] === undefined ? ["test/system/browser.test.ts"] : [])
          ],
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 3 }
        }
      }
    ]
  }
})
