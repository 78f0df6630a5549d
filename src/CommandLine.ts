import { nearestName } from "./protocol/NearestName.ts"
import { settingsTable } from "./SettingsTable.ts"

export type Command =
  | { readonly _tag: "Serve" }
  | { readonly _tag: "Print"; readonly text: string }
  /** Exit code 64, EX_USAGE. */
  | { readonly _tag: "Wrong"; readonly text: string }

const FLAGS = ["--help", "--version"]

/** What `trailsd` was asked to do. It takes no options of its own: settings come from the environment. */
export const readCommand = (args: ReadonlyArray<string>, version: string): Command => {
  const [first] = args
  if (first === undefined) return { _tag: "Serve" }
  if (args.length === 1 && (first === "--help" || first === "-h")) return { _tag: "Print", text: help(version) }
  if (args.length === 1 && (first === "--version" || first === "-v")) return { _tag: "Print", text: version }
  const wrong = args.find((arg) => !FLAGS.includes(arg)) ?? first
  const near = nearestName(wrong, FLAGS)
  const hint = near === null || near === wrong ? "" : ` Did you mean ${near}?`
  return {
    _tag: "Wrong",
    text: `trailsd does not take "${wrong}".${hint} Settings are environment variables; trailsd --help lists them.`
  }
}

const help = (version: string): string => {
  const rows = Object.values(settingsTable).map(
    ({ byDefault, doc, env }) => `  ${env}\n      ${doc} Default: ${byDefault}`
  )
  return [
    `trailsd ${version}: keeps track of trees of processes and loses nothing that it has acknowledged.`,
    "",
    "Usage: trailsd [--help | --version]",
    "",
    "Settings are environment variables, e.g. LISTEN_ADDR=127.0.0.1:8444 trailsd",
    "Durations are seconds as a number, or have a unit: 1500ms, 2s, 5m, 1h, 7d.",
    "",
    ...rows,
    "  OTEL_*",
    "      As OpenTelemetry defines them; traces are sent when OTEL_EXPORTER_OTLP_ENDPOINT is set.",
    "",
    "Exit codes: 0 stopped, 64 wrong usage, 69 port or folder in use, 70 internal failure, 75 lost its lease, 78 wrong settings."
  ].join("\n")
}
