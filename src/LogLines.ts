import { Layer, Logger, References } from "effect"
import type { SettingsShape } from "./Settings.ts"

const LEVELS = { debug: "Debug", info: "Info", warn: "Warn", error: "Error" } as const

/** One line: `12:34:56 WARN  message key=value`, with the cause indented below. */
const humanLine = Logger.map(Logger.formatStructured, ({ annotations, cause, level, message, timestamp }) => {
  const words = (Array.isArray(message) ? message : [message]).map(show).join(" ")
  const extra = Object.entries(annotations)
    .map(([key, value]) => ` ${key}=${show(value)}`)
    .join("")
  const below = cause === undefined ? "" : `\n  ${cause.replaceAll("\n", "\n  ")}`
  return `${timestamp.slice(11, 19)} ${level.padEnd(5)} ${words}${extra}${below}`
})

const show = (value: unknown): string => (typeof value === "string" ? value : (JSON.stringify(value) ?? String(value)))

/** One JSON object a line. */
const jsonLine = Logger.map(Logger.formatStructured, ({ annotations, cause, level, message, timestamp }) =>
  JSON.stringify({
    time: timestamp,
    level: level.toLowerCase(),
    message: (Array.isArray(message) ? message : [message]).map(show).join(" "),
    ...annotations,
    ...(cause === undefined ? {} : { cause })
  })
)

/** Log lines on stderr: for people at a terminal, JSON for machines everywhere else. */
export const layerLogLines = (level: SettingsShape["logLevel"], terminal: boolean): Layer.Layer<never> =>
  Layer.merge(
    Logger.layer([Logger.withConsoleError(terminal ? humanLine : jsonLine)]),
    Layer.succeed(References.MinimumLogLevel, LEVELS[level])
  )
