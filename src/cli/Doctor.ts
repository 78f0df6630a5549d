import { connect } from "node:net"
import { statSync } from "node:fs"
import { Api } from "./Api.ts"
import { placeText, unanswered } from "./ApiProblem.ts"
import { CliError, EXIT } from "./CliError.ts"
import type { CommonOptions } from "./CommonOptions.ts"
import { portOf } from "./Endpoint.ts"
import { HttpFailure, httpCall } from "./HttpCall.ts"
import { printJson, printText } from "./Output.ts"
import { type Paint, paintFor } from "./Paint.ts"
import { printableLine } from "./Printable.ts"
import { readServerInfo, type ServerInfo } from "./ServerInfo.ts"
import { findServer, type ServerPlace } from "./ServerPlace.ts"
import { agentSocket, nodeIdentity } from "./Surroundings.ts"

export type Verdict = "ok" | "warn" | "FAIL" | "skip"

export interface Check {
  readonly name: string
  readonly verdict: Verdict
  /** What was found. */
  readonly detail: string
  /** What to do; null where there is nothing to do. */
  readonly remedy: string | null
}

const TIMEOUT_MS = 5000
/** The server's signatures and tickets bear a minute; half of it is a sign of a clock that is not set. */
const CLOCK_WARN_MS = 30_000
const CLOCK_FAIL_MS = 60_000

const check = (name: string, verdict: Verdict, detail: string, remedy: string | null = null): Check => ({
  name,
  verdict,
  detail,
  remedy
})

const failure = (name: string, place: ServerPlace, error: unknown): Check => {
  const met = error instanceof HttpFailure ? unanswered(place, error) : error
  if (!(met instanceof CliError)) throw met
  return check(name, "FAIL", met.message, met.remedy)
}

const skipped = (name: string): Check => check(name, "skip", "not asked, since the server does not answer")

export const nodeCheck = (version: string): Check =>
  Number(version.split(".")[0]) >= 24
    ? check("node", "ok", `Node ${version}`)
    : check("node", "FAIL", `Node ${version}`, "TRAILS needs Node 24 or newer; bin/trails brings its own along.")

const tcpCheck = (place: ServerPlace): Promise<Check> =>
  new Promise((resolve) => {
    const { hostname } = new URL(place.url)
    const port = Number(portOf(place.url))
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ""), port, timeout: TIMEOUT_MS })
    const end = (verdict: Verdict, detail: string, remedy: string | null = null) => {
      socket.destroy()
      resolve(check("connection", verdict, detail, remedy))
    }
    const remedy = "Start it with npm start, or name another one by --server or TRAILS_SERVER."
    socket.once("connect", () => end("ok", `TCP to ${hostname} port ${port}`))
    socket.once("timeout", () =>
      end("FAIL", `${hostname} port ${port} does not answer`, `${remedy} Is a firewall in between?`)
    )
    socket.once("error", (error: NodeJS.ErrnoException) =>
      end("FAIL", `${hostname} port ${port}: ${error.code ?? error.message}`, remedy)
    )
  })

const readyCheck = async (place: ServerPlace): Promise<Check> => {
  const answer = await httpCall(new URL(`${place.url}/readyz`), { headers: {}, timeoutMs: TIMEOUT_MS })
  if (answer.status === 200) return check("ready", "ok", "it can do its work")
  let problems: unknown
  try {
    problems = (JSON.parse(answer.text) as { readonly problems?: unknown }).problems
  } catch {
    problems = undefined
  }
  const why = Array.isArray(problems) ? problems.join("; ") : `it answers ${answer.status}`
  return check("ready", "FAIL", why, "The server's own log says more; it goes on by itself when the cause is mended.")
}

export const clockCheck = (offsetMs: number): Check => {
  const seconds = Math.round(Math.abs(offsetMs) / 1000)
  if (Math.abs(offsetMs) < CLOCK_WARN_MS) return check("clock", "ok", `within ${seconds + 1} s of the server's`)
  const detail = `${seconds} s ${offsetMs > 0 ? "ahead of" : "behind"} the server's`
  const remedy = "Set the clocks of both machines (NTP): signatures are refused from 60 seconds on."
  return check("clock", Math.abs(offsetMs) < CLOCK_FAIL_MS ? "warn" : "FAIL", detail, remedy)
}

const identityCheck = (place: ServerPlace, server: ServerInfo): Check => {
  const about = `trailsd ${server.version} on ${server.instance}, ${server.storage} storage`
  if (place.serverPubKey === null || place.serverPubKey === server.serverPubKey) return check("server", "ok", about)
  return check(
    "server",
    "FAIL",
    `its key is ${server.serverPubKey}, where ${place.serverPubKey} is expected`,
    "This is another server, or one with a new key: compare it with its owner before you go on."
  )
}

const keyCheck = async (api: Api, server: ServerInfo): Promise<Check> => {
  const { adminKeyFile } = api.place
  if (adminKeyFile === null && server.level === "open") {
    await api.get("apps", { limit: "1" }, { timeoutMs: TIMEOUT_MS })
    return check("key", "ok", "none, and none is needed: the server takes unsigned requests from here")
  }
  const signer = api.signer()
  await api.get("apps", { limit: "1" }, { timeoutMs: TIMEOUT_MS })
  if (signer === null || adminKeyFile === null) return check("key", "ok", "none is needed")
  const exposed = (statSync(adminKeyFile).mode & 0o077) !== 0
  return exposed
    ? check("key", "warn", `${adminKeyFile} can be read by others`, `chmod 600 ${adminKeyFile}`)
    : check("key", "ok", `${signer.publicKey} is accepted (${adminKeyFile})`)
}

const infoCheck = (place: ServerPlace, server: ServerInfo | null): Check => {
  const node = nodeIdentity()
  if (node._tag === "None") return check("TRAILS_INFO", "ok", "not set: this is no node of a tree")
  if (node._tag === "Unreadable")
    return check("TRAILS_INFO", "FAIL", node.problem, "Unset it, or hand on what the parent made, unchanged.")
  const { appId, appName, secLevel, serverEp, serverPubKey } = node.envelope
  const about = `${appName} ${appId}, level ${secLevel}`
  const known = server?.serverPubKey ?? place.serverPubKey
  if (serverPubKey !== null && known !== null && serverPubKey !== known)
    return check(
      "TRAILS_INFO",
      "warn",
      `${about}: of another server, ${serverEp}`,
      `To look at that one: --server ${serverEp}`
    )
  return check("TRAILS_INFO", "ok", about)
}

const agentCheck = (): ReadonlyArray<Check> => {
  const agent = agentSocket()
  if (agent === null) return []
  return [
    agent.isThere
      ? check("TRAILS_AGENT", "ok", agent.path)
      : check("TRAILS_AGENT", "warn", `${agent.path} is not there`, "The trails run that made it has ended; unset it.")
  ]
}

const attempt = async (name: string, place: ServerPlace, run: () => Promise<Check>): Promise<Check> => {
  try {
    return await run()
  } catch (error) {
    return failure(name, place, error)
  }
}

const serverChecks = async (place: ServerPlace): Promise<ReadonlyArray<Check>> => {
  const tcp = await tcpCheck(place)
  const silent = ["server", "ready", "level", "key", "clock"].map(skipped)
  if (tcp.verdict === "FAIL") return [tcp, ...silent, infoCheck(place, null)]
  const api = new Api(place)
  const asked = Date.now()
  let server: ServerInfo
  try {
    server = await readServerInfo(api, TIMEOUT_MS)
  } catch (error) {
    return [tcp, failure("server", place, error), ...silent.slice(1), infoCheck(place, null)]
  }
  const offset = (asked + Date.now()) / 2 - server.serverTime
  return [
    tcp,
    identityCheck(place, server),
    await attempt("ready", place, () => readyCheck(place)),
    check("level", "ok", `${server.level}, admission ${server.admission}`),
    await attempt("key", place, () => keyCheck(api, server)),
    clockCheck(offset),
    infoCheck(place, server)
  ]
}

const STYLE: Readonly<Record<Verdict, Parameters<Paint>[0]>> = {
  ok: "green",
  warn: "yellow",
  FAIL: "red",
  skip: "gray"
}

export const checkLines = (checks: ReadonlyArray<Check>, paint: Paint): ReadonlyArray<string> =>
  checks.flatMap(({ detail, name, remedy, verdict }) => [
    `${paint(STYLE[verdict], verdict.padEnd(4))}  ${name.padEnd(12)}  ${printableLine(detail)}`,
    ...(remedy === null ? [] : [`${" ".repeat(20)}${printableLine(remedy)}`])
  ])

/** Goes through what can be wrong, and says of each what to do. Exit code 1 when something has to be done. */
export const showDoctor = async (options: CommonOptions): Promise<void> => {
  const place = findServer(options.server)
  const checks = [
    nodeCheck(process.versions.node),
    check("endpoint", "ok", placeText(place)),
    ...(await serverChecks(place)),
    ...agentCheck()
  ]
  const ok = checks.every(({ verdict }) => verdict !== "FAIL")
  if (options.json === true) printJson({ ok, checks })
  else printText(checkLines(checks, paintFor(process.stdout)).join("\n"))
  process.exitCode = ok ? EXIT.ok : EXIT.failed
}
