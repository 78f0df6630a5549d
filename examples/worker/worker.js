// One process, many nodes: a worker whose tasks each have an identity, a state and a result of their own. All of them
// share one socket.
//
//   TRAILS_SERVER=ws://127.0.0.1:8443/ws node worker/worker.js
import { setTimeout as pause } from "node:timers/promises"
import { init } from "@trailsd/client"

const serverEp = process.env.TRAILS_SERVER ?? "ws://127.0.0.1:8443/ws"
const worker = await init(process.env.TRAILS_INFO ? {} : { root: { appName: "example-worker", serverEp } })

const work = async (number) => {
  const child = await worker.createChild(`task-${number}`, { tags: { number } })
  const task = await init({ info: child.info })
  task.onCancel(({ reason }) => console.log(`task ${number} is told to stop: ${reason}`))
  for (const percent of [25, 50, 75]) {
    task.status({ percent })
    await pause(50)
  }
  if (number === 3) task.error(new Error("task 3 can't find its input"), { path: "/in/3.csv" })
  else task.result({ square: number * number })
  await task.shutdown()
  return child
}

const children = await Promise.all([1, 2, 3, 4, 5].map(work))
for (const child of children) {
  const outcome = await child.wait({ timeoutMs: 20_000 })
  console.log(child.name, outcome?.state, JSON.stringify(outcome?.result ?? outcome?.error))
}
worker.result({ tasks: children.length })
await worker.shutdown()
