/** A process that is one node, and ends as its first argument says. */
import { init } from "../../../src/client/index.ts"

const [end = "result", timeoutMs = "5000"] = process.argv.slice(2)
const node = await init()
node.status({ step: 1 })

const ends: Readonly<Record<string, () => unknown>> = {
  /** Nothing was waited for: the socket may not even be open. */
  result: async () => {
    node.result({ answer: 42 })
    process.exitCode = (await node.shutdown({ timeoutMs: Number(timeoutMs) })) ? 0 : 1
  },
  natural: () => {},
  "exit 0": async () => {
    await node.ready()
    process.exit(0)
  },
  "exit 3": async () => {
    await node.ready()
    process.exit(3)
  },
  throw: async () => {
    await node.ready()
    throw Object.assign(new TypeError("it broke", { cause: new Error("the reason") }), { code: "E_BROKE" })
  },
  reject: async () => {
    await node.ready()
    void Promise.reject(new Error("nobody caught it"))
    setTimeout(() => {}, 10_000)
  },
  kill: async () => {
    await node.ready()
    process.kill(process.pid, "SIGKILL")
  }
}
await ends[end]!()
