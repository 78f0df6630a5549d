// Sees to it that the tests find the programs that the README's tour and the examples need: installs Debian's packages when
// this is root, else says what to install. With arguments: those programs alone.
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"

const tools = [
  { name: "tmux", packages: ["tmux"], args: ["-V"] },
  { name: "make", packages: ["make"], args: ["--version"] },
  { name: "cc", packages: ["gcc", "libc6-dev"], args: ["--version"] },
  { name: "python3", packages: ["python3"], args: ["--version"] }
]
const wanted = process.argv.slice(2)

const missing = () =>
  tools
    .filter(({ name }) => wanted.length === 0 || wanted.includes(name))
    .filter(({ args, name }) => spawnSync(name, args, { stdio: "ignore" }).status !== 0)

const apt = (...args) =>
  spawnSync("apt-get", args, {
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" }
  }).status === 0

let lacking = missing()
if (lacking.length > 0 && process.getuid?.() === 0 && existsSync("/usr/bin/apt-get")) {
  const packages = lacking.flatMap((tool) => tool.packages)
  console.error(`Installing ${packages.join(", ")} for the tests ...`)
  const install = ["install", "-y", "--no-install-recommends", ...packages]
  if (!apt(...install) && apt("update")) apt(...install)
  lacking = missing()
}
for (const { name, packages } of lacking)
  console.error(`The tests need ${name}, which is not here. On Debian: apt-get install ${packages.join(" ")}`)
process.exit(lacking.length === 0 ? 0 : 1)
