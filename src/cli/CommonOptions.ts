import type { Command } from "commander"

export interface ServerOption {
  readonly server?: string
}

export interface CommonOptions extends ServerOption {
  readonly json?: boolean
}

/** For every command that talks to a server. */
export const withServer = (command: Command): Command =>
  command.option("--server <url>", "the server: ws://host:8443/ws, http://host:8443 or host:8443")

/** Options of every command that looks at something. */
export const withCommon = (command: Command): Command =>
  withServer(command.option("--json", "one JSON document instead of text for people"))

/** Below the options of `--help`. */
export const withExamples = (command: Command, ...lines: ReadonlyArray<string>): Command =>
  command.addHelpText("after", ["", "Examples:", ...lines.map((line) => `  ${line}`)].join("\n"))
