import { nearestName } from "../../src/protocol/NearestName.ts"
import { ClusterError } from "./ClusterError.ts"
import { cutModes, type CutMode } from "./Link.ts"
import { type LinkName, linkNames } from "./Replica.ts"

/** One line of the prompt, read. Names of processes are not looked up here. */
export type ClusterCommand =
  | { readonly verb: "state" | "help" | "quit" | "nothing" }
  | { readonly verb: "kill" | "restart"; readonly name: string }
  | { readonly verb: "pause"; readonly name: string; readonly milliseconds: number | undefined }
  | { readonly verb: "resume" | "heal"; readonly name: string | undefined }
  | { readonly verb: "cut"; readonly name: string; readonly link: LinkName; readonly mode: CutMode }
  | { readonly verb: "delay"; readonly name: string; readonly link: LinkName; readonly milliseconds: number }
  | { readonly verb: "lose"; readonly name: string; readonly link: LinkName; readonly rate: number }

type Verb = Exclude<ClusterCommand["verb"], "nothing">

interface Entry {
  readonly usage: string
  readonly doc: string
  readonly read: (args: ReadonlyArray<string>) => ClusterCommand
}

const LINKS = linkNames.join("|")
/** Of one pause or delay, seconds: setTimeout's own is 24 days. */
const LONGEST_S = 86_400

const oneOf = <A extends string>(what: string, names: ReadonlyArray<A>, given: string | undefined): A => {
  const found = names.find((name) => name === given)
  if (found === undefined) throw new ClusterError(`${what}: ${names.join(", ")}; not ${given ?? "nothing"}`)
  return found
}

const numberIn = (what: string, low: number, high: number, given: string | undefined): number => {
  const value = given === undefined || given === "" ? Number.NaN : Number(given)
  if (value >= low && value <= high) return value
  throw new ClusterError(`${what} is a number from ${low} to ${high}; not ${given ?? "nothing"}`)
}

const table: Readonly<Record<Verb, Entry>> = {
  state: { usage: "state", doc: "what runs, who holds what", read: () => ({ verb: "state" }) },
  kill: {
    usage: "kill <process>",
    doc: "kill -9, of Postgres all its processes",
    read: ([name]) => ({ verb: "kill", name: name! })
  },
  pause: {
    usage: "pause <process> [seconds]",
    doc: "SIGSTOP; without seconds until resume",
    read: ([name, seconds]) => ({
      verb: "pause",
      name: name!,
      milliseconds: seconds === undefined ? undefined : 1000 * numberIn("the time", 0.001, LONGEST_S, seconds)
    })
  },
  resume: {
    usage: "resume [process]",
    doc: "what is paused goes on",
    read: ([name]) => ({ verb: "resume", name })
  },
  cut: {
    usage: `cut <replica> ${LINKS} [${cutModes.join("|")}]`,
    doc: "no byte passes; silent (the default): nobody is told, reset: connections break",
    read: ([name, link, mode]) => ({
      verb: "cut",
      name: name!,
      link: oneOf("a replica can be cut from", linkNames, link),
      mode: mode === undefined ? "silent" : oneOf("a cut is", cutModes, mode)
    })
  },
  delay: {
    usage: `delay <replica> ${LINKS} <seconds>`,
    doc: "everything takes so much longer, either way",
    read: ([name, link, seconds]) => ({
      verb: "delay",
      name: name!,
      link: oneOf("a replica has links to", linkNames, link),
      milliseconds: 1000 * numberIn("the delay", 0, LONGEST_S, seconds)
    })
  },
  lose: {
    usage: `lose <replica> ${LINKS} <rate>`,
    doc: "0 to 0.9 of all pieces get lost and come again, late",
    read: ([name, link, rate]) => ({
      verb: "lose",
      name: name!,
      link: oneOf("a replica has links to", linkNames, link),
      rate: numberIn("the rate", 0, 0.9, rate)
    })
  },
  heal: {
    usage: "heal [replica]",
    doc: "its links are whole and quick again",
    read: ([name]) => ({ verb: "heal", name })
  },
  restart: {
    usage: "restart <process>",
    doc: "stops it in order if it runs, and starts it on its old port",
    read: ([name]) => ({ verb: "restart", name: name! })
  },
  help: { usage: "help", doc: "this", read: () => ({ verb: "help" }) },
  quit: {
    usage: "quit",
    doc: "stops everything, as Ctrl-C and the end of the input do",
    read: () => ({ verb: "quit" })
  }
}

const isVerb = (text: string): text is Verb => Object.hasOwn(table, text)

/** How many words a usage asks for, and how many it allows. */
const arity = (usage: string) => {
  const words = usage.split(" ").slice(1)
  return { least: words.filter((word) => !word.startsWith("[")).length, most: words.length }
}

/** Throws a ClusterError that says what is possible. */
export const readClusterCommand = (line: string): ClusterCommand => {
  const [verb, ...args] = line.trim().split(/\s+/)
  if (verb === undefined || verb === "") return { verb: "nothing" }
  if (!isVerb(verb)) {
    const near = nearestName(verb, Object.keys(table))
    const hint = near === null ? "." : `, did you mean ${near}?`
    throw new ClusterError(`there is no command "${verb}"${hint} There are ${Object.keys(table).join(", ")}`)
  }
  const { read, usage } = table[verb]
  const { least, most } = arity(usage)
  if (args.length < least || args.length > most) throw new ClusterError(`it is: ${usage}`)
  return read(args)
}

/** One line per command. */
export const clusterHelp = (): string => {
  const entries = Object.values(table)
  const width = Math.max(...entries.map(({ usage }) => usage.length))
  return entries.map(({ doc, usage }) => `${usage.padEnd(width)}  ${doc}`).join("\n")
}
