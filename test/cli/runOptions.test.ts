import { Command, CommanderError } from "commander"
import { describe, expect, it } from "vitest"
import { runCommand } from "../../src/cli/commands/run.ts"
import { readRunWords } from "../../src/cli/RunOptions.ts"

/** What commander makes of the words; null where it explains something. */
const byCommander = (words: ReadonlyArray<string>): unknown => {
  const program = new Command("trails").enablePositionalOptions().exitOverride()
  program.configureOutput({ writeOut: () => {}, writeErr: () => {} })
  runCommand(program)
  const run = program.commands[0]!.exitOverride().configureOutput({ writeOut: () => {}, writeErr: () => {} })
  let seen: unknown = null
  run.action((command: ReadonlyArray<string>) => {
    // Absent and true are the same to whoever reads it.
    const { stderr, ...options } = run.opts<Record<string, unknown>>()
    seen = { command, options: stderr === false ? { ...options, stderr } : options }
  })
  try {
    program.parse(["run", ...words], { from: "user" })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
  }
  return seen
}

describe("the words after run are read as commander reads them", () => {
  it.for<ReadonlyArray<string>>([
    ["--", "make", "-j4"],
    ["make", "-j4", "--name", "x"],
    ["make", "--", "x"],
    ["--", "--name", "x"],
    [
      "--name",
      "etl",
      "--tag",
      "a=b",
      "--tag",
      "c=d=e",
      "--timeout",
      "2h",
      "--grace=1500ms",
      "--",
      "sh",
      "-c",
      "exit 3"
    ],
    ["--name=", "--", "true"],
    ["--name", "--tag", "true"],
    ["--name", "--", "true"],
    ["--tag=a=b", "--server", "h:1", "true"],
    ["--foreground", "--no-stderr", "--", "vi"],
    ["--tag", "a=1", "--tag", "a=2", "true"]
  ])("%j", (words) => {
    const read = readRunWords(words)
    expect(read).not.toBeNull()
    expect(read).toEqual(byCommander(words))
  })

  it.for<ReadonlyArray<string>>([
    [],
    ["--"],
    ["--name"],
    ["--name", "x"],
    ["--help"],
    ["-h", "--", "true"],
    ["--nam", "x", "--", "true"],
    ["--foreground=yes", "--", "true"],
    ["--timeout", "soon", "--", "true"],
    ["--grace", "-1", "--", "true"],
    ["--tag", "nothing", "--", "true"],
    ["--tag", "=x", "--", "true"],
    ["--stderr", "--", "true"]
  ])("%j is left to commander, which explains it", (words) => {
    expect(readRunWords(words)).toBeNull()
    expect(byCommander(words)).toBeNull()
  })
})
