import type { Command } from "commander"
import { expect, it } from "vitest"
import { makeProgram } from "../../src/cli/Program.ts"

const helpOf = (command: Command): string => {
  let shown = ""
  command.configureOutput({ writeOut: (text) => (shown += text) }).outputHelp()
  return shown.replace(/\s+/g, " ")
}

it("the help of all names the commands that have exit codes of their own", () => {
  const program = makeProgram()
  const own = program.commands.filter((command) => /Exit codes?\b|Exits with/.test(helpOf(command)))
  const names = own.map((command) => command.name())
  expect(names).toContain("wait")
  const [, named = ""] = /failure of trails itself; (.*) have more: trails help COMMAND/.exec(helpOf(program)) ?? []
  expect(named.split(/, | and /).toSorted()).toEqual(names.toSorted())
})
