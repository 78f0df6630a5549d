// Sees to it that the test of the browser page finds a Chromium: installs Debian's package when this is root, else says
// what to install.
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { findChromium } from "../test/harness/ChromiumBinary.ts"

const apt = (...args) =>
  spawnSync("apt-get", args, {
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" }
  }).status === 0

if (findChromium() === null && process.getuid?.() === 0 && existsSync("/usr/bin/apt-get")) {
  console.error("No Chromium here: installing the package chromium ...")
  const packages = ["install", "-y", "--no-install-recommends", "chromium"]
  if (!apt(...packages) && apt("update")) apt(...packages)
}
if (findChromium() === null) {
  console.error("The test of the browser page needs Chromium or Chrome on PATH. On Debian: apt-get install chromium")
  process.exit(1)
}
