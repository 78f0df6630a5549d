import { Api } from "./Api.ts"
import { placeText } from "./ApiProblem.ts"
import { CliError } from "./CliError.ts"
import type { CommonOptions } from "./CommonOptions.ts"
import { notice, printJson, printText } from "./Output.ts"
import { type Paint, paintFor } from "./Paint.ts"
import { printableLine } from "./Printable.ts"
import { readServerInfo, type ServerInfo } from "./ServerInfo.ts"
import { findServer, type ServerPlace } from "./ServerPlace.ts"
import { type AgentSocket, agentSocket, type NodeIdentity, nodeIdentity } from "./Surroundings.ts"

interface Found {
  readonly place: ServerPlace
  readonly server: ServerInfo | null
  readonly adminKey: string | null
  readonly node: NodeIdentity
  readonly agent: AgentSocket | null
}

const keyWords = ({ place, server }: Found): string => {
  if (server === null) return place.serverPubKey ?? ""
  if (place.serverPubKey === null) return `${server.serverPubKey} (not pinned)`
  return place.serverPubKey === server.serverPubKey
    ? `${server.serverPubKey} (the one that is pinned)`
    : `${server.serverPubKey}, BUT ${place.serverPubKey} IS PINNED`
}

const adminWords = ({ adminKey, place, server }: Found): string => {
  if (adminKey !== null) return `administrator ${adminKey} (${place.adminKeyFile})`
  if (place.adminKeyFile !== null) return `nobody: the key in ${place.adminKeyFile} can't be used`
  return server?.level === "open" ? "anybody on this machine: level open needs no key" : "nobody: no key is known"
}

const nodeWords = (node: NodeIdentity): string => {
  if (node._tag === "None") return "none: TRAILS_INFO is not set"
  if (node._tag === "Unreadable") return node.problem
  const { appId, appName, parentId, secLevel, serverEp } = node.envelope
  return `${appName} ${appId}, ${parentId === null ? "a root" : `child of ${parentId}`}, level ${secLevel}, at ${serverEp}`
}

const linesOf = (found: Found, paint: Paint): ReadonlyArray<string> => {
  const { agent, place, server } = found
  const about =
    server === null ? "does not answer" : `trailsd ${server.version} on ${server.instance}, level ${server.level}`
  const fields = [
    ["server", placeText(place)],
    ["", about],
    ["its key", keyWords(found)],
    ["you are", adminWords(found)],
    ["node", nodeWords(found.node)],
    ["agent", agent === null ? "" : `${agent.path}${agent.isThere ? "" : " (is not there any more)"}`]
  ] as const
  return fields
    .filter(([, value]) => value !== "")
    .map(([name, value]) => `${paint("gray", name.padEnd(8))} ${printableLine(value)}`)
}

const jsonOf = ({ adminKey, agent, node, place, server }: Found): unknown => ({
  server: { ...place, answers: server },
  admin: place.adminKeyFile === null ? null : { publicKey: adminKey, file: place.adminKeyFile },
  node:
    node._tag !== "Node"
      ? null
      : {
          appId: node.envelope.appId,
          appName: node.envelope.appName,
          parentId: node.envelope.parentId,
          secLevel: node.envelope.secLevel,
          serverEp: node.envelope.serverEp
        },
  agent: agent?.path ?? null
})

/** Who the command line would be at which server. Says what it knows also while the server is away, and fails then. */
export const showWhoami = async (options: CommonOptions): Promise<void> => {
  const place = findServer(options.server)
  const api = new Api(place)
  const problems: Array<CliError> = []
  const attempt = async <A>(run: () => A | Promise<A>): Promise<A | null> => {
    try {
      return await run()
    } catch (error) {
      if (!(error instanceof CliError)) throw error
      problems.push(error)
      return null
    }
  }
  const found: Found = {
    place,
    server: await attempt(() => readServerInfo(api)),
    adminKey: (await attempt(() => api.signer()))?.publicKey ?? null,
    node: nodeIdentity(),
    agent: agentSocket()
  }
  if (options.json === true) printJson(jsonOf(found))
  else printText(linesOf(found, paintFor(process.stdout)).join("\n"))
  const [first, ...others] = problems
  for (const other of others) notice(`trails: ${other.message}`)
  if (first !== undefined) throw first
}
