// Sees to it that the tests find the server programs of Postgres: installs Debian's package when this is root, else says
// what to install. No cluster is made and no service started; the tests start their own server (test/harness/Postgres.ts).
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs"
import { findPostgres } from "../test/harness/PostgresBinaries.ts"

const search = () => {
  try {
    return findPostgres()
  } catch (error) {
    return error
  }
}

const apt = (...args) =>
  spawnSync("apt-get", args, {
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" }
  }).status === 0

/** The package makes a cluster and starts it, unless this file is there while it is installed. */
const install = () => {
  const folder = "/etc/postgresql-common/createcluster.d"
  const file = `${folder}/trails-tests.conf`
  const fresh = !existsSync("/etc/postgresql-common")
  mkdirSync(folder, { recursive: true })
  writeFileSync(file, "create_main_cluster = false\n")
  try {
    const packages = ["install", "-y", "--no-install-recommends", "postgresql"]
    return apt(...packages) || (apt("update") && apt(...packages))
  } finally {
    rmSync(file, { force: true })
    if (fresh) {
      try {
        rmdirSync(folder)
      } catch {
        // The package keeps something of its own in it.
      }
    }
  }
}

let found = search()
if (found instanceof Error && process.getuid?.() === 0 && existsSync("/usr/bin/apt-get")) {
  console.error("No Postgres here: installing the package postgresql ...")
  if (install()) found = search()
}
if (found instanceof Error) {
  console.error(found.message)
  process.exit(1)
}
