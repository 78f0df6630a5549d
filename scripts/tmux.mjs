// Sees to it that the README's tour finds tmux: installs Debian's package when this is root, else says what to install.
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"

const isThere = () => spawnSync("tmux", ["-V"], { stdio: "ignore" }).status === 0

const apt = (...args) =>
  spawnSync("apt-get", args, {
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" }
  }).status === 0

if (!isThere() && process.getuid?.() === 0 && existsSync("/usr/bin/apt-get")) {
  console.error("No tmux here: installing the package tmux ...")
  const packages = ["install", "-y", "--no-install-recommends", "tmux"]
  if (!apt(...packages) && apt("update")) apt(...packages)
}
if (!isThere()) {
  console.error("The README's tour is run in tmux, which is not here. On Debian: apt-get install tmux")
  process.exit(1)
}
