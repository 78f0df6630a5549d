import { spawn, spawnSync, type StdioOptions } from "node:child_process"
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { text } from "node:stream/consumers"
import { fileURLToPath } from "node:url"
import { afterEach, beforeEach, describe, expect, it } from "vitest"

const BIN = fileURLToPath(new URL("../../bin", import.meta.url))
const BUNDLED = `node-linux-${process.arch}/bin/node`

let folder = ""
let root = ""

/** A Node that says what it was called with, and claims to be of a version when it is asked. */
const fakeNode = (file: string, version: string): void => {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(
    file,
    `#!/bin/sh
[ "$1" != --version ] || { echo ${version}; exit; }
echo "by ${file}"
echo "pid $$"
echo "fds \${TRAILS_INHERITED_FDS-none}"
for argument; do echo "- $argument"; done
`
  )
  chmodSync(file, 0o755)
}

const file = (...path: ReadonlyArray<string>): void => {
  mkdirSync(dirname(join(root, ...path)), { recursive: true })
  writeFileSync(join(root, ...path), "")
}

const hostNode = (version: string): string => {
  const program = join(folder, "programs/node")
  fakeNode(program, version)
  return program
}

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "trails-launchers-")))
  root = join(folder, "prefix/lib/node_modules/trailsd")
  mkdirSync(join(folder, "programs"))
  cpSync(BIN, join(root, "bin"), { recursive: true })
})
afterEach(() => rmSync(folder, { recursive: true }))

interface Run {
  readonly status: number | null
  readonly stderr: string
  readonly node: string | undefined
  readonly fds: string | undefined
  readonly args: ReadonlyArray<string>
}

const env = (): Record<string, string> => ({ PATH: `${join(folder, "programs")}:/usr/bin:/bin` })

const read = (stdout: string): Pick<Run, "node" | "fds" | "args"> => ({
  node: /^by (.*)$/m.exec(stdout)?.[1],
  fds: /^fds (.*)$/m.exec(stdout)?.[1],
  args: [...stdout.matchAll(/^- (.*)$/gm)].map(([, argument = ""]) => argument)
})

const launch = (program: string, args: ReadonlyArray<string> = []): Run => {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", env: env(), cwd: folder })
  return { status, stderr, ...read(stdout) }
}

/** What bin/start.cjs, the first argument that is no flag, was given as the entry. */
const entryOf = ({ args }: Run): string => {
  const [start = "", entry = ""] = args.filter((argument) => !argument.startsWith("--"))
  expect(realpathSync(start)).toBe(join(root, "bin/start.cjs"))
  return realpathSync(entry).slice(root.length + 1)
}

describe.for([
  ["trailsd", "main"],
  ["trails", "cli"]
] as const)("bin/%s", ([program, module]) => {
  it("in a clone → the sources, under the bundled Node; the machine's is not asked", () => {
    file(`src/${module}.ts`)
    file(`lib/${module}.js`)
    fakeNode(join(root, "node_modules", BUNDLED), "v24.21.0")
    writeFileSync(join(folder, "programs/node"), `#!/bin/sh\necho asked >>"${folder}/asked"\nexit 1\n`, { mode: 0o755 })
    const run = launch(join(root, "bin", program), ["a b", "", "*"])
    expect(run).toMatchObject({ status: 0, stderr: "", node: join(root, "node_modules", BUNDLED) })
    expect(entryOf(run)).toBe(`src/${module}.ts`)
    expect(run.args.slice(-3)).toEqual(["a b", "", "*"])
    expect(() => realpathSync(join(folder, "asked"))).toThrow("ENOENT")
  })

  it("installed, by a symlink → the build, under the bundled Node below it", () => {
    file(`lib/${module}.js`)
    fakeNode(join(root, "node_modules", BUNDLED), "v24.21.0")
    mkdirSync(join(folder, "prefix/bin"))
    symlinkSync(`../lib/node_modules/trailsd/bin/${program}`, join(folder, "prefix/bin", program))
    symlinkSync(join(folder, "prefix/bin", program), join(folder, "programs", program))
    const run = launch(program)
    expect(run).toMatchObject({ status: 0, stderr: "", node: join(root, "node_modules", BUNDLED) })
    expect(entryOf(run)).toBe(`lib/${module}.js`)
  })

  it("installed, by a symlinked folder, from inside it → the bundled Node beside the package", () => {
    file(`lib/${module}.js`)
    fakeNode(join(dirname(root), BUNDLED), "v24.21.0")
    symlinkSync(root, join(folder, "linked"))
    const { status, stdout, stderr } = spawnSync("sh", [program], {
      encoding: "utf8",
      env: env(),
      cwd: join(folder, "linked/bin")
    })
    expect({ status, stderr, node: read(stdout).node }).toEqual({
      status: 0,
      stderr: "",
      node: join(dirname(root), BUNDLED)
    })
  })

  it.for(["v24.0.0", "v26.1.0", "v30.0.0", "v101.0.0"])("no bundled Node → the machine's own %s", (version) => {
    file(`src/${module}.ts`)
    const node = hostNode(version)
    expect(launch(join(root, "bin", program))).toMatchObject({ status: 0, stderr: "", node })
  })

  it.for(["v20.20.2", "v23.11.0", "v9.0.0", "none"])("no bundled Node, and the machine has %s → refused", (version) => {
    file(`src/${module}.ts`)
    if (version !== "none") hostNode(version)
    else writeFileSync(join(folder, "programs/node"), "#!/bin/sh\nexit 127\n", { mode: 0o755 })
    const { status, stderr } = launch(join(root, "bin", program))
    expect(status).toBe(69)
    expect(stderr).toContain(`${program} needs Node 24 or newer, found ${version}.`)
  })

  it("becomes Node: its signals and its exit are Node's", async () => {
    file(`src/${module}.ts`)
    fakeNode(join(root, "node_modules", BUNDLED), "v24.21.0")
    const child = spawn(join(root, "bin", program), [], { env: env(), stdio: ["ignore", "pipe", "inherit"] })
    expect(await text(child.stdout)).toContain(`pid ${child.pid}\n`)
  })
})

describe("bin/trails names the descriptors above 2 that it inherits", () => {
  beforeEach(() => {
    file("src/cli.ts")
    fakeNode(join(root, "node_modules", BUNDLED), "v24.21.0")
  })

  it.for([
    ["none", ""],
    ["3", "3>&1"],
    ["4 9", "9>&1 4>/dev/null"],
    ["3 5", "5</dev/null 3<."],
    ["none", "3>&-"]
  ] as const)("%s of: %s", ([fds, redirections]) => {
    const script = `exec '${join(root, "bin/trails")}' ${redirections}`
    const { stdout } = spawnSync("sh", ["-c", script], { encoding: "utf8", env: env(), cwd: folder })
    expect(read(stdout).fds).toBe(fds)
  })

  it("a pipe and a socket count as well; what an outer run said does not", () => {
    const kept = openSync("/dev/null", "r")
    try {
      const stdio = ["ignore", "pipe", "pipe", "pipe", kept] satisfies StdioOptions
      const outer = { ...env(), TRAILS_INHERITED_FDS: "7" }
      const options = { encoding: "utf8" as const, env: outer, stdio }
      expect(read(spawnSync(join(root, "bin/trails"), [], options).stdout).fds).toBe("3 4")
      const none = { encoding: "utf8" as const, env: outer, stdio: "pipe" as const }
      expect(read(spawnSync(join(root, "bin/trails"), [], none).stdout).fds).toBe("none")
    } finally {
      closeSync(kept)
    }
  })
})
