// Goes on reporting for a run that had to exit before its server had everything. What it needs, the key among it, comes
// through the pipe on its stdin; nothing of it is ever in an environment or on a disk.
import { buffer } from "node:stream/consumers"
import { makeInit } from "../client/init.ts"
import type { Bequest } from "./Bequest.ts"
import { runPlatform } from "./runPlatform.ts"

/** Milliseconds. */
const AT_MOST = 600_000

const { handOver, seed, shown } = JSON.parse((await buffer(process.stdin)).toString("utf8")) as Bequest
const init = makeInit(runPlatform(shown))
const node = await init({ resume: handOver, seed: Buffer.from(seed, "base64"), exitHook: false, warn: () => {} })
const until = performance.now() + AT_MOST
// The server may be away for long: come back at the usual pace, and hurry only from then on.
await node.ready({ timeoutMs: AT_MOST })
process.exit((await node.shutdown({ timeoutMs: until - performance.now() })) ? 0 : 1)
