import { durationMs } from "../protocol/Duration.ts"

export interface RunOptions {
  readonly server?: string
  readonly name?: string
  readonly tag?: Readonly<Record<string, string>>
  readonly timeout?: number
  readonly grace?: number
  readonly foreground?: boolean
  readonly stderr?: boolean
}

/** What is wrong with an option's value. */
export class BadValue extends Error {}

interface Option {
  /** As it is written, with the name of its value. */
  readonly flags: string
  readonly description: string
  /** The value of what was given, after those before; absent: the text itself. Throws `BadValue`. */
  readonly parse?: (text: string, before: unknown) => unknown
}

/** Longest that a timer can be set to, 24 days. */
const LONGEST_MS = 2 ** 31 - 1

const duration = (text: string): number => {
  const milliseconds = durationMs(text)
  if (milliseconds === null || milliseconds > LONGEST_MS)
    throw new BadValue("Seconds, or a number with a unit: 90, 1500ms, 5m, 2h; at most 24 days.")
  return milliseconds
}

const addTag = (text: string, before: unknown): Readonly<Record<string, string>> => {
  const at = text.indexOf("=")
  if (at < 1) throw new BadValue("A tag is written key=value.")
  return { ...(before as Readonly<Record<string, string>> | undefined), [text.slice(0, at)]: text.slice(at + 1) }
}

/** Of `trails run`, besides `--server`. Each begins with its only long flag. */
export const RUN_OPTIONS: ReadonlyArray<Option> = [
  { flags: "--name <name>", description: "of the node (default: the command's)" },
  { flags: "--tag <key=value>", description: "for filters and people; may be given again", parse: addTag },
  {
    flags: "--timeout <time>",
    description: "ends it after so many seconds, or with a unit: 90, 5m",
    parse: duration
  },
  {
    flags: "--grace <time>",
    description: "from being asked to end until it is killed (default: 10)",
    parse: duration
  },
  {
    flags: "--foreground",
    description: "it keeps the terminal: no session of its own, its stderr is left alone"
  },
  { flags: "--no-stderr", description: "its stderr is left alone: no tail of it in the report" }
]

const SERVER: Option = { flags: "--server <url>", description: "" }

export interface RunWords {
  readonly options: RunOptions
  /** Not empty. */
  readonly command: ReadonlyArray<string>
}

/**
 * The words after `run`, where they are clear; null where something has to be explained, help or a mistake. commander does
 * that from the same options: it takes longer to load than this takes to start the command.
 */
export const readRunWords = (words: ReadonlyArray<string>): RunWords | null => {
  const options: Record<string, unknown> = {}
  let at = 0
  for (; words[at]?.startsWith("-") === true && words[at] !== "--"; at++) {
    const [, flag = "", attached] = /^(--[^=]+)(?:=(.*))?$/s.exec(words[at]!) ?? []
    const option = [...RUN_OPTIONS, SERVER].find(({ flags }) => flags.split(" ")[0] === flag)
    if (option === undefined) return null
    const name = flag.slice(2)
    if (!option.flags.includes(" ")) {
      if (attached !== undefined) return null
      options[name.replace(/^no-/, "")] = !name.startsWith("no-")
      continue
    }
    const text = attached ?? words[++at]
    if (text === undefined) return null
    try {
      options[name] = option.parse === undefined ? text : option.parse(text, options[name])
    } catch {
      return null
    }
  }
  const command = words.slice(words[at] === "--" ? at + 1 : at)
  return command.length === 0 ? null : { options, command }
}
