import type { Target } from "./Identity.ts"
import { Link } from "./Link.ts"
import type { Platform } from "./Platform.ts"

/** Nodes on one socket: the server remembers the nonces of 10,000. */
const NODES = 1000

/** The links of this process: nodes of the same server, key and strength share a socket (PROTOCOL §1, "Session"). */
export class LinkPool {
  readonly #platform: Platform
  readonly #links = new Map<string, Set<Link>>()

  constructor(platform: Platform) {
    this.#platform = platform
  }

  /** A link that the node can register on, opened when there is none. `pingIntervalMs`: see `Dial`. */
  linkFor(target: Target, appId: string, pingIntervalMs: number): Link {
    const key = `${target.verify === null ? "open" : "signed"} ${target.serverKey ?? ""} ${target.url}`
    const links = this.#links.get(key) ?? new Set()
    for (const link of links) if (link.takes(appId) && link.size < NODES) return link
    const made = new Link(this.#platform, target, pingIntervalMs, (link) => {
      links.delete(link)
      if (links.size === 0) this.#links.delete(key)
    })
    links.add(made)
    this.#links.set(key, links)
    return made
  }
}
