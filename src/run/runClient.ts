// What a run needs to be a node, in one import: the client is loaded when the command runs already.
export { makeInit } from "../client/init.ts"
export { LiveNode } from "../client/LiveNode.ts"
export { runPlatform } from "./runPlatform.ts"
