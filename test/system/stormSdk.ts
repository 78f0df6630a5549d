/**
 * Like `stormClients.ts`, of nodes of the SDK: each has a socket of its own, and comes back by the SDK's own rules. The
 * server's name leads to the address of the next replica at each connect.
 */
import { makeInit } from "../../src/client/init.ts"
import { nodePlatform } from "../../src/client/NodePlatform.ts"
import type { Platform, SocketPort } from "../../src/client/Platform.ts"
import type { TrailsNode } from "../../src/client/TrailsNode.ts"
import { keypairFromSeed } from "../harness/Keypair.ts"
import { makeEnvelope } from "../harness/TestEnvelope.ts"
import type { StormCommand, StormCount, StormStart } from "./stormClients.ts"

const nodes: Array<TrailsNode> = []
const sockets = new Set<SocketPort>()
const failures: Record<string, number> = {}
let urls: ReadonlyArray<string> = []
let turn = 0

const platform: Platform = {
  ...nodePlatform,
  watchExit: () => {},
  connect: (_name, events) => {
    const socket = nodePlatform.connect(urls[turn++ % urls.length]!, {
      ...events,
      closed: (reason) => {
        sockets.delete(socket)
        const cause = /ECONNREFUSED|ECONNRESET|\(\d+/.exec(reason)?.[0] ?? reason
        failures[cause] = (failures[cause] ?? 0) + 1
        events.closed(reason)
      }
    })
    sockets.add(socket)
    return socket
  }
}

const count = (): StormCount => {
  const stats = nodes.map((node) => node.stats())
  return {
    attached: stats.filter(({ state }) => state === "attached").length,
    unacked: stats.reduce((sum, { waiting }) => sum + waiting, 0),
    reconnects: stats.reduce((sum, { reconnects }) => sum + reconnects, 0),
    failures
  }
}

const start = async ({
  count: total,
  level,
  pingIntervalMs,
  serverSeed,
  width,
  ...start
}: StormStart): Promise<void> => {
  urls = start.urls
  const serverKey = keypairFromSeed(Buffer.from(serverSeed, "base64"))
  let begun = 0
  const worker = async (): Promise<void> => {
    while (begun++ < total) {
      const { info } = makeEnvelope(
        { serverEp: urls[0]!, serverPubKey: serverKey.text, secLevel: level, startDeadline: 0 },
        level === "open" ? null : serverKey
      )
      // A pool of links for each: nodes that share an `init` would share their socket.
      const pending = makeInit(platform)({ info, pingIntervalMs })
      const node = await pending
      nodes.push(node)
      await node.ready()
    }
  }
  await Promise.all(Array.from({ length: width }, worker))
}

process.on("message", (command: StormCommand) => {
  const answer = () => process.send?.(count())
  if (command.do === "start") return void start(command).then(answer)
  if (command.do === "send") for (const node of nodes) node.status({ after: node.stats().reconnects })
  if (command.do === "cut") for (const socket of [...sockets]) socket.terminate()
  answer()
})
process.on("disconnect", () => process.exit(0))
