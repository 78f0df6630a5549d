import { makeInit } from "./init.ts"
import { nodePlatform } from "./NodePlatform.ts"

/**
 * Makes this process a node of the tree that it was started in (`TRAILS_INFO`), or that `options` name. Resolves at once,
 * without waiting for the server; never rejects. Without an envelope, or with one that can't be read, the node is a no-op.
 */
export const init = makeInit(nodePlatform)

export type { StandardSchema } from "./StandardSchema.ts"
export type * from "./TrailsNode.ts"
export type { TreeEvent, TreeEventData } from "../protocol/TreeEvent.ts"
