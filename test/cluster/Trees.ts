import { randomBytes } from "node:crypto"
import { Effect, Schema } from "effect"
import { makeInit } from "../../src/client/init.ts"
import { nodePlatform } from "../../src/client/NodePlatform.ts"
import type { Child, TrailsNode } from "../../src/client/TrailsNode.ts"
import { type Keypair, keypairFromSeed } from "../harness/Keypair.ts"
import { makeEnvelope } from "../harness/TestEnvelope.ts"
import type { Cluster } from "./Cluster.ts"
import type { Replica } from "./Replica.ts"

/** Births under way at once. */
const WIDTH = 64

/** The payload of `square`. */
const Square = Schema.toStandardSchemaV1(Schema.Struct({ side: Schema.Int }))

export interface TreesSize {
  readonly trees: number
  /** Children of a node, level by level from the root's. */
  readonly widths: ReadonlyArray<number>
}

interface Origin {
  readonly info: string
  /** As its parent sees it; null of a root. */
  readonly child: Child | null
  readonly parent: Place | null
  /** Of the replica that it connects to, among those of the cluster. */
  readonly at: number
}

/** A node of a tree: from inside, as its parent sees it, and with the key that is bound to it. */
export class Place {
  readonly node: TrailsNode
  readonly key: Keypair
  readonly child: Child | null
  readonly parent: Place | null
  readonly at: number
  readonly children: Array<Place> = []
  /** What its handler of `square` was given. */
  readonly squared: Array<number> = []
  /** Who has told it to stop. */
  readonly cancelledBy: Array<string> = []

  private constructor(node: TrailsNode, key: Keypair, { at, child, parent }: Origin) {
    this.node = node
    this.key = key
    this.child = child
    this.parent = parent
    this.at = at
  }

  /** A client with a socket of its own. It answers `square` with its id and an area, and stops when it is told to. */
  static async born(origin: Origin, { url }: Replica): Promise<Place> {
    const platform = {
      ...nodePlatform,
      watchExit: () => {},
      connect: (_: string, events: Parameters<typeof nodePlatform.connect>[1]) => nodePlatform.connect(url, events)
    }
    const seed = randomBytes(32)
    const node = await makeInit(platform)({ info: origin.info, seed, exitHook: false, warn: () => {} })
    const place = new Place(node, keypairFromSeed(seed), origin)
    origin.parent?.children.push(place)
    node.on("square", Square, ({ side }) => {
      place.squared.push(side)
      return { by: node.appId, area: side * side }
    })
    node.onCancel(({ initiator }) => void place.cancelledBy.push(initiator))
    return place
  }

  get appId(): string {
    return this.node.appId
  }

  /** It and all below it, a parent before its children. */
  get all(): ReadonlyArray<Place> {
    return [this, ...this.below]
  }

  get below(): ReadonlyArray<Place> {
    return this.children.flatMap((child) => child.all)
  }

  get leaves(): ReadonlyArray<Place> {
    return this.all.filter(({ children }) => children.length === 0)
  }
}

/**
 * Trees of client library nodes, half of them signed. Roots come to the replicas in turn, and so do the children of each
 * node: a node with three children or more has some at every replica.
 */
export class Trees implements AsyncDisposable {
  readonly roots: ReadonlyArray<Place>

  private constructor(roots: ReadonlyArray<Place>) {
    this.roots = roots
  }

  /** Resolves when the server knows all of them. */
  static async grow(cluster: Cluster, { trees, widths }: TreesSize): Promise<Trees> {
    const { replicas } = cluster
    const bear = (origin: Omit<Origin, "at">, turn: number): Promise<Place> => {
      const at = turn % replicas.length
      return Place.born({ ...origin, at }, replicas[at]!)
    }
    const roots = await Promise.all(
      Array.from({ length: trees }, (_, index) => {
        const level = index % 2 === 0 ? "open" : "signed"
        const { info } = makeEnvelope(
          { serverEp: cluster.url, serverPubKey: cluster.serverKey.text, secLevel: level, startDeadline: 0 },
          level === "open" ? null : cluster.serverKey
        )
        return bear({ info, child: null, parent: null }, index)
      })
    )
    const grown = new Trees(roots)
    try {
      let parents = await known(roots)
      for (const width of widths) {
        const wanted = parents.flatMap((parent) => Array.from({ length: width }, (_, number) => ({ parent, number })))
        const birth = async ({ number, parent }: (typeof wanted)[number]): Promise<Place> => {
          const child = await parent.node.createChild(`child-${number}`, { deadline: 0 })
          const place = await bear({ info: child.info, child, parent }, parent.at + 1 + number)
          await known([place])
          return place
        }
        parents = await Effect.runPromise(
          Effect.forEach(wanted, (one) => Effect.promise(() => birth(one)), { concurrency: WIDTH })
        )
      }
      return grown
    } catch (error) {
      await grown[Symbol.asyncDispose]()
      throw error
    }
  }

  get all(): ReadonlyArray<Place> {
    return this.roots.flatMap((root) => root.all)
  }

  /** They leave without a word. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map(({ node }) => node.shutdown({ timeoutMs: 1 })))
  }
}

const known = async (places: ReadonlyArray<Place>): Promise<ReadonlyArray<Place>> => {
  const answers = await Promise.all(places.map(({ node }) => node.ready({ timeoutMs: 60_000 })))
  const strange = places.filter((_, index) => answers[index] !== true)
  if (strange.length > 0) throw new Error(`${strange.length} nodes got no session: ${strange[0]!.node.stats().reason}`)
  return places
}
