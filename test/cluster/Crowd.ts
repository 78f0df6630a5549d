import { makeInit } from "../../src/client/init.ts"
import { nodePlatform } from "../../src/client/NodePlatform.ts"
import type { Child, TrailsNode } from "../../src/client/TrailsNode.ts"
import { makeEnvelope } from "../harness/TestEnvelope.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import type { Cluster } from "./Cluster.ts"
import { Holders } from "./Holders.ts"
import type { Replica } from "./Replica.ts"

const platform = { ...nodePlatform, watchExit: () => {} }

/** A root with its children, each a client with a socket of its own. */
export interface Family {
  readonly root: TrailsNode
  /** As the root sees them. */
  readonly children: ReadonlyArray<Child>
  /** The same, from inside. */
  readonly members: ReadonlyArray<TrailsNode>
}

/** Client library nodes that came to a cluster through its balancer, half of the families signed. */
export class Crowd implements AsyncDisposable {
  readonly families: ReadonlyArray<Family>
  readonly #cluster: Cluster

  private constructor(cluster: Cluster, families: ReadonlyArray<Family>) {
    this.#cluster = cluster
    this.families = families
  }

  /** Resolves when all of them have a session. Each answers `echo` with its payload, and stops when it is told to. */
  static async gather(cluster: Cluster, size: { readonly families: number; readonly children: number }) {
    const families = await Promise.all(
      Array.from({ length: size.families }, async (_, index): Promise<Family> => {
        const level = index % 2 === 0 ? "open" : "signed"
        const { info } = makeEnvelope(
          { serverEp: cluster.url, serverPubKey: cluster.serverKey.text, secLevel: level, startDeadline: 0 },
          level === "open" ? null : cluster.serverKey
        )
        const root = await born(info)
        const children = await Promise.all(
          Array.from({ length: size.children }, (_, number) => root.createChild(`child-${number}`, { deadline: 0 }))
        )
        return { root, children, members: await Promise.all(children.map((child) => born(child.info))) }
      })
    )
    const crowd = new Crowd(cluster, families)
    await waitUntil("everybody is attached", () => crowd.isAttached, { withinMs: 30_000 })
    return crowd
  }

  get all(): ReadonlyArray<TrailsNode> {
    return this.families.flatMap(({ members, root }) => [root, ...members])
  }

  get isAttached(): boolean {
    return this.all.every((node) => node.stats().state === "attached")
  }

  /** The replica that holds each attached node, by the node's id. */
  async holders(): Promise<ReadonlyMap<string, Replica>> {
    return (await Holders.read(this.#cluster)).byNode
  }

  /** They leave without a word. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map((node) => node.shutdown({ timeoutMs: 1 })))
  }
}

/** One client of its own; answers `echo` with its payload, and stops when it is told to. */
export const born = async (info: string): Promise<TrailsNode> => {
  const node = await makeInit(platform)({ info, exitHook: false, warn: () => {} })
  node.on("echo", (payload) => payload)
  node.onCancel(() => null)
  return node
}
