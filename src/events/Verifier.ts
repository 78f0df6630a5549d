import { parseUsableKey } from "../protocol/Keys.ts"
import { verifyChain } from "../protocol/Ticket.ts"
import type { TreeEvent, TreeEventData } from "../protocol/TreeEvent.ts"
import { ed25519 } from "./Crypto.ts"
import { serverAgrees } from "./FrameAgreement.ts"
import { authorOf, genuineRegistered, genuineServerFrame, isUnsigned, nodeVerdict } from "./FrameCheck.ts"
import { Recent } from "./Recent.ts"
import { unverified, type Verdict } from "./Verdict.ts"

type Answer<A> = A | null | Promise<A | null>

/** Whose 32 bytes are believed (PROTOCOL §5). */
export type Trust =
  | {
      /** The server's key: its `registered` frames bind each node to a key, and they travel in the events. */
      readonly serverKey: string
      /**
       * Finds the `registered` frame, verbatim, of a node whose `connected` was not seen: `registeredFromStream`, REST, or a
       * store of one's own. It is verified like any other, so that its source need not be trusted.
       */
      readonly registered?: (data: TreeEventData) => Answer<string>
    }
  | {
      /** A root's own key: nothing that the server says is believed. Holds where every envelope sets `childKey`. */
      readonly root: { readonly appId: string; readonly key: string }
      /** The base64 envelope of a node, from whoever has issued it: events do not carry them. */
      readonly envelope: (appId: string) => Answer<string>
    }

const DEFAULT_NODES = 50_000

/**
 * Verifies the frames of nodes in events, end to end: what the node has signed is what is read, whatever servers, brokers
 * and databases it went through. It says nothing of events that are missing, nor of the server's own facts.
 *
 * Keeps one key per node and incarnation, for the nodes seen last (`nodes`, about 200 bytes each). Never throws.
 */
export class Verifier {
  readonly #trust: Trust
  /** By node and incarnation, or by node where a chain proves them. */
  readonly #keys: Recent<string>

  constructor(trust: Trust, options: { readonly nodes?: number } = {}) {
    const key = "root" in trust ? trust.root.key : trust.serverKey
    if (parseUsableKey(key) === null) throw new TypeError("the key to trust is not ed25519:<base64 of 32 bytes>")
    this.#trust = trust
    this.#keys = new Recent(options.nodes ?? DEFAULT_NODES)
  }

  async verify(event: TreeEvent): Promise<Verdict> {
    const { data, dataref } = event
    const { frame } = data
    if (frame === undefined) return unverified(dataref === undefined ? "no_frame" : "left_out")
    try {
      const author = authorOf(frame)
      if (author === "nobody") return unverified("malformed")
      if (isUnsigned(frame)) return unverified("unsigned")
      if (author === "server") return this.#serverFrame(frame, data)
      const key = await ("root" in this.#trust ? this.#keyByChain(data) : this.#keyByServer(data))
      return typeof key === "string" ? nodeVerdict(frame, key, data) : key
    } catch {
      return unverified("malformed")
    }
  }

  #serverFrame(frame: string, data: TreeEventData): Verdict {
    if ("root" in this.#trust) return unverified("server_signed")
    const { serverKey } = this.#trust
    const genuine = genuineServerFrame(frame, serverKey)
    if (genuine === null) return unverified("bad_signature")
    if (!serverAgrees(genuine, data)) return unverified("contradiction")
    if (genuine.type === "registered") this.#keys.set(`${data.app_id}:${data.incarnation}`, genuine.child_pub_key)
    return { verified: true, by: "server", key: serverKey }
  }

  async #keyByServer(data: TreeEventData): Promise<string | Verdict> {
    const name = `${data.app_id}:${data.incarnation}`
    const known = this.#keys.get(name)
    if (known !== undefined) return known
    if ("root" in this.#trust) return unverified("key_unknown")
    const frame = await answered(() => ("registered" in this.#trust ? this.#trust.registered?.(data) : null))
    const registered = frame === null ? null : genuineRegistered(frame, this.#trust.serverKey)
    if (registered === null || registered.app_id !== data.app_id || registered.incarnation !== data.incarnation) {
      return unverified("key_unknown")
    }
    this.#keys.set(name, registered.child_pub_key)
    return registered.child_pub_key
  }

  async #keyByChain({ app_id, path }: TreeEventData): Promise<string | Verdict> {
    if (!("root" in this.#trust)) return unverified("key_unknown")
    const { envelope, root } = this.#trust
    if (path[0] !== root.appId || path.at(-1) !== app_id) return unverified("chain_broken")
    if (path.length === 1) return root.key
    const name = path.join()
    const known = this.#keys.get(name)
    if (known !== undefined) return known
    const infos: Array<string> = []
    for (const appId of path.slice(1)) {
      const info = await answered(() => envelope(appId))
      if (info === null) return unverified("key_unknown")
      infos.push(info)
    }
    const chain = verifyChain(root, infos, ed25519)
    if (!("path" in chain) || chain.path.join() !== name) return unverified("chain_broken")
    this.#keys.set(name, chain.key)
    return chain.key
  }
}

/** What a function of the user's answers; one that fails has no answer. */
const answered = async (ask: () => Answer<string> | undefined): Promise<string | null> => {
  try {
    const answer = await ask()
    return typeof answer === "string" ? answer : null
  } catch {
    return null
  }
}
