import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { createInterface } from "node:readline"
import { connect } from "@nats-io/transport-node"
import { afterEach, expect, it } from "vitest"
import { NatsServer, type NatsServerOptions } from "./NatsServer.ts"
import { waitUntil } from "./waitUntil.ts"

const started: Array<NatsServer> = []
const start = async (options?: NatsServerOptions): Promise<NatsServer> => {
  const server = await NatsServer.start(options)
  started.push(server)
  return server
}
afterEach(async () => {
  for (const server of started.splice(0)) await server.dispose()
})

const single = { reconnect: false, timeout: 2_000 }

const alive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

it("takes clients, and after a kill or a stop again on the same port", async () => {
  const server = await start()
  for (const end of ["kill", "stop"] as const) {
    const client = await connect({ servers: server.url, ...single })
    const pid = server.pid
    await server[end]()
    expect(alive(pid)).toBe(false)
    await client.closed()
    await expect(connect({ servers: server.url, ...single })).rejects.toThrow("refused")
    await server.start()
  }
  const client = await connect({ servers: server.url, ...single })
  await client.flush()
  await client.close()
})

it("frozen → nothing answers; thawed → the same connection goes on", async () => {
  const server = await start()
  const client = await connect({ servers: server.url, ...single })
  server.freeze()
  let answered = false
  const answer = client.flush().then(() => (answered = true))
  await expect(connect({ servers: server.url, ...single, timeout: 300 })).rejects.toThrow("timeout")
  expect(answered).toBe(false)
  server.thaw()
  expect(await answer).toBe(true)
  await client.close()
})

it("a login is asked for, and JetStream is there only where it was asked for", async () => {
  const server = await start({ login: { user: "u", password: "p" }, jetstream: true })
  const client = await connect({ servers: server.url, user: "u", pass: "p", ...single })
  expect(client.info?.jetstream).toBe(true)
  await client.close()
  await expect(connect({ servers: server.url, user: "u", pass: "wrong", ...single })).rejects.toThrow("Authorization")
  const plain = await connect({ servers: (await start()).url, ...single })
  expect(plain.info?.jetstream ?? false).toBe(false)
  await plain.close()
})

it("a configuration that the server refuses is an error with what the server said", async () => {
  await expect(start({ config: "nonsense: {" })).rejects.toThrow("Parse error on line 2")
})

it("a mesh carries messages from any server to any other, and mends when one comes back", async () => {
  const mesh = await NatsServer.mesh(3)
  started.push(...mesh)
  const [first, second, third] = mesh
  const listener = await connect({ servers: third!.url, ...single })
  const heard: Array<string> = []
  listener.subscribe("a", { callback: (_, message) => void heard.push(message.string()) })
  await listener.flush()
  const talker = await connect({ servers: first!.url, ...single })
  await second!.kill()
  await waitUntil("said and heard", () => {
    talker.publish("a", "x")
    return heard.length > 0
  })
  await second!.start()
  await waitUntil("the mesh is complete again", async () => (await first!.peers()) === 2)
  await talker.close()
  await listener.close()
})

it("dispose → server and folder are gone", async () => {
  const server = await start()
  const pid = server.pid
  server.freeze()
  await server.dispose()
  expect(alive(pid)).toBe(false)
  expect(existsSync(server.folder)).toBe(false)
})

it("owner killed -9 → the server is gone, frozen or not", async () => {
  for (const state of ["running", "frozen"]) {
    const script = `
      const { NatsServer } = await import(${JSON.stringify(new URL("./NatsServer.ts", import.meta.url).href)})
      const server = await NatsServer.start()
      if (process.argv[1] === "frozen") server.freeze()
      console.log(server.pid)
      setInterval(() => undefined, 1000)`
    const owner = spawn(process.execPath, ["--input-type=module", "-e", script, state], {
      stdio: ["ignore", "pipe", "inherit"]
    })
    const [line] = (await once(createInterface({ input: owner.stdout }), "line")) as [string]
    const pid = Number(line)
    expect(alive(pid)).toBe(true)
    owner.kill("SIGKILL")
    await waitUntil("the server is gone", () => !alive(pid))
  }
})
