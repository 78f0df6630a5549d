import { makeInit } from "./init.ts"
import { webPlatform } from "./WebPlatform.ts"

/** `init` for browsers, where there is no `TRAILS_INFO`: give it `info` or `root`. See `index.ts`. */
export const init = makeInit(webPlatform)

export type * from "./TrailsNode.ts"
export type { TreeEvent, TreeEventData } from "../protocol/TreeEvent.ts"
