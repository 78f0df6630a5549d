import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"
import { compileCacheFolder } from "./bin/compileCache.cjs"
import { LongestFirst } from "./test/harness/LongestFirst.ts"
import { dropSurroundings } from "./test/harness/surroundings.ts"

// `TRAILS_TEST_DATABASE_URL` is set afterwards, by the global set-up.
dropSurroundings()

// As the launchers have it, for whatever the tests start: stripping and compiling its sources takes a process of trailsd or
// the command line a third of a second of the processor's time.
const compileCache = compileCacheFolder()
if (compileCache !== null) process.env["NODE_COMPILE_CACHE"] ??= compileCache

/** Of modules: a file leaves nothing behind, so that files share processes and load effect once for all. */
const modules = [
  ...["actors", "client", "conformance", "events", "protocol", "rest", "run", "settings", "storage", "supervision"],
  "transports"
].map((name) => `test/${name}/**/*.test.ts`)

/** Held to a time that a neighbour could spoil; or building the client into the folder that another one reads. */
const alone = ["browser", "crash", "examples", "neverStarted", "reconnect"].map((name) => `test/system/${name}.test.ts`)

/** Many tests wait for a deadline, or for processes. */
const waiting = availableParallelism() + 1

export default defineConfig({
  test: {
    globalSetup: ["test/harness/globalSetup.ts"],
    pool: "forks",
    teardownTimeout: 30_000,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          name: "modules",
          include: modules,
          isolate: false,
          maxWorkers: waiting,
          testTimeout: 20_000,
          hookTimeout: 60_000,
          // vitest runs a group 0 of one worker last.
          sequence: { groupOrder: 1 }
        }
      },
      {
        extends: true,
        test: {
          name: "commands",
          include: ["test/**/*.test.ts"],
          exclude: [...modules, "test/system/**", "test/cluster/**"],
          maxWorkers: waiting,
          testTimeout: 20_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 }
        }
      },
      {
        // Whole processes that mostly wait; some of what they do is held to a time.
        extends: true,
        test: {
          name: "programs",
          include: ["test/system/**/*.test.ts"],
          exclude: alone,
          maxWorkers: 2,
          testTimeout: 180_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 2 }
        }
      },
      {
        // Several replicas, which hold leases of some seconds.
        extends: true,
        test: {
          name: "cluster",
          include: ["test/cluster/**/*.test.ts"],
          maxWorkers: 2,
          testTimeout: 180_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 3 }
        }
      },
      {
        // One file after the other, when the others are done.
        extends: true,
        test: {
          name: "system",
          include: alone,
          // Chromium is too large to be had for every run of the tests: `npm run test:browser` installs it.
          exclude: process.env["WITH_BROWSER"] === undefined ? ["test/system/browser.test.ts"] : [],
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 4 }
        }
      }
    ]
  }
})
