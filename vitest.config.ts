import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"
import { dropSurroundings } from "./test/harness/surroundings.ts"

// `TRAILS_TEST_DATABASE_URL` is set afterwards, by the global set-up.
dropSurroundings()

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
          exclude: ["test/system/**"],
          testTimeout: 20_000,
          hookTimeout: 60_000,
          // Many tests wait for a deadline: two of them fit on one core.
          maxWorkers: Math.max(2, availableParallelism() - 1),
          // vitest runs a group 0 of one worker last.
          sequence: { groupOrder: 1 }
        }
      },
      {
        // Whole processes, killed and started again: one file after the other, when the units are done.
        extends: true,
        test: {
          name: "system",
          include: ["test/system/**/*.test.ts"],
          // Chromium is too large to be had for every run of the tests: `npm run test:browser` installs it.
          exclude: process.env["WITH_BROWSER"] === undefined ? ["test/system/browser.test.ts"] : [],
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 2 }
        }
      }
    ]
  }
})
