import { decodeEnvelope, encodeEnvelope, encodeInfo, type Envelope, isEnvelopeProblem } from "../protocol/Envelope.ts"
import { fits, isPlain } from "../protocol/FieldReader.ts"
import { isWeaker, STRONGEST } from "../protocol/Level.ts"
import * as Limits from "../protocol/Limits.ts"
import { claimInfo } from "./claimInfo.ts"
import { Identity } from "./Identity.ts"
import { idleNode } from "./IdleNode.ts"
import { LinkPool } from "./LinkPool.ts"
import { LiveNode } from "./LiveNode.ts"
import { warnBy } from "./warnBy.ts"
import type { Platform } from "./Platform.ts"
import type { InitOptions, TrailsNode } from "./TrailsNode.ts"

const SEED = 32

/** The envelope's base64 as this process was given it; undefined when it was given none. */
const infoOf = async (platform: Platform, { info, resume, root }: InitOptions): Promise<string | undefined> => {
  if (resume !== undefined) return resume.info
  if (info !== undefined) return info.trim()
  if (root === undefined) return await claimInfo(platform)
  return encodeInfo(
    encodeEnvelope({
      ...root,
      appId: root.appId ?? platform.newId(),
      parentId: null,
      secLevel: "open",
      scheduledAt: platform.wallClock()
    })
  )
}

/** What the server would refuse the whole registration for. */
const areCapabilities = (names: unknown): boolean =>
  Array.isArray(names) &&
  names.length <= Limits.CAPABILITIES &&
  names.every((name) => typeof name === "string" && fits(name, Limits.NAME) && isPlain(name))

/** Why this client can't be that node, in words for whoever started it; null: it can. */
const unfit = ({ childKey, secLevel, serverEp }: Envelope, publicKey: string | null): string | null => {
  if (!/^wss?:/.test(serverEp)) return `TRAILS_INFO: this client speaks ws and wss, serverEp is ${serverEp}`
  if (isWeaker(STRONGEST, secLevel))
    return `TRAILS_INFO: this client has no level ${secLevel} yet; the strongest is ${STRONGEST}`
  return publicKey !== null && childKey !== null && childKey !== publicKey
    ? "TRAILS_INFO names another childKey: give its secret half to init({ seed })"
    : null
}

/** `init` for one platform; nodes that it makes share sockets. */
export const makeInit = (platform: Platform): ((options?: InitOptions) => Promise<TrailsNode>) => {
  const pool = new LinkPool(platform)
  /** By `appId`: a second `init` of the same envelope in this process is the same node. */
  const nodes = new Map<string, Promise<TrailsNode>>()
  const live = new Set<LiveNode>()
  let isWatching = false

  const watchExit = (): void => {
    if (isWatching) return
    isWatching = true
    platform.watchExit({
      idle: () => {
        for (const node of live) void node.shutdown()
      },
      failed: (error) => {
        for (const node of live) node.fail(error)
      },
      ending: (code) => {
        for (const node of live) node.exit(code)
      }
    })
  }

  const idleWarned = (reason: string, options: InitOptions): TrailsNode => {
    warnBy(platform, options)(`${reason}. Nothing is reported to TRAILS`)
    return idleNode(reason, platform.newId)
  }

  const begin = async (envelope: Envelope, options: InitOptions): Promise<TrailsNode> => {
    const idle = (reason: string): TrailsNode => idleWarned(reason, options)
    const { seed } = options
    if (seed !== undefined && !(seed instanceof Uint8Array && seed.length === SEED))
      return idle(`seed must be ${SEED} bytes, a Uint8Array`)
    if (!areCapabilities(options.capabilities ?? []))
      return idle(`capabilities must be at most ${Limits.CAPABILITIES} names of at most ${Limits.NAME} bytes`)
    const problem = unfit(envelope, null)
    if (problem !== null) return idle(problem)
    const identity = await Identity.make(platform, envelope, seed)
    const mismatch = unfit(envelope, identity.publicKey)
    if (mismatch !== null) return idle(mismatch)
    const node: LiveNode = new LiveNode(platform, pool, identity, options, () => {
      live.delete(node)
      nodes.delete(envelope.appId)
    })
    if (options.exitHook !== false) {
      live.add(node)
      watchExit()
    }
    return node
  }

  return async (options = {}) => {
    try {
      const info = await infoOf(platform, options)
      if (info === undefined || info === "") return idleNode("there is no TRAILS_INFO", platform.newId)
      const envelope = decodeEnvelope(info)
      if (isEnvelopeProblem(envelope)) return idleWarned(envelope.problem, options)
      const known = nodes.get(envelope.appId)
      if (known !== undefined) return await known
      const made = begin(envelope, options)
        // What can't be foreseen here (a platform without the cryptography, say) must not stop the program either.
        .catch((error: unknown) => idleWarned(`init failed: ${String(error)}`, options))
      nodes.set(envelope.appId, made)
      const node = await made
      if (!node.isActive) nodes.delete(envelope.appId)
      return node
    } catch (error) {
      return idleWarned(`init failed: ${String(error)}`, {})
    }
  }
}
