// Sees to it that the tests find the programs that the README's tour, the examples and the cluster need: installs Debian's packages when
// this is root, else says what to install. With arguments: those programs alone.
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { delimiter } from "node:path"

const tools = [
  { name: "tmux", packages: ["tmux"], args: ["-V"] },
  { name: "make", packages: ["make"], args: ["--version"] },
  { name: "cc", packages: ["gcc", "libc6-dev"], args: ["--version"] },
  { name: "python3", packages: ["python3"], args: ["--version"] },
  { name: "nats-server", packages: ["nats-server"], args: ["--version"], service: "nats-server" }
]
const wanted = process.argv.slice(2)
// Debian keeps servers in a folder that is not on every user's PATH; test/harness/NatsServer.ts looks there as well.
const PATH = [process.env["PATH"], "/usr/sbin"].join(delimiter)

const missing = () =>
  tools
    .filter(({ name }) => wanted.length === 0 || wanted.includes(name))
    .filter(({ args, name }) => spawnSync(name, args, { stdio: "ignore", env: { ...process.env, PATH } }).status !== 0)

const apt = (...args) =>
  spawnSync("apt-get", args, {
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" }
  }).status === 0

/** The tests start their own servers: a package's service must neither run now nor at the next boot. */
const systemctl = (verb, services) =>
  services.length > 0 && spawnSync("systemctl", [verb, ...services], { stdio: "ignore" })

let lacking = missing()
if (lacking.length > 0 && process.getuid?.() === 0 && existsSync("/usr/bin/apt-get")) {
  const packages = lacking.flatMap((tool) => tool.packages)
  const services = lacking.flatMap((tool) => tool.service ?? [])
  console.error(`Installing ${packages.join(", ")} for the tests ...`)
  const install = ["install", "-y", "--no-install-recommends", ...packages]
  systemctl("mask", services)
  if (!apt(...install) && apt("update")) apt(...install)
  systemctl("unmask", services)
  systemctl("disable", services)
  lacking = missing()
}
for (const { name, packages } of lacking)
  console.error(`The tests need ${name}, which is not here. On Debian: apt-get install ${packages.join(" ")}`)
process.exit(lacking.length === 0 ? 0 : 1)
