import { spawn, spawnSync } from "node:child_process"
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { nodeEd25519 } from "../../src/actors/Ed25519.ts"
import { Seeded } from "../conformance/Seeded.ts"
import { signatureCases } from "../conformance/SignatureCases.ts"
import { wycheproof } from "../conformance/wycheproof.ts"
import { PackedClient } from "../harness/PackedClient.ts"
import { post, rest } from "../harness/Rest.ts"
import { type Runtime, runtimes, thisRuntime } from "../harness/Runtimes.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"

let packed: PackedClient
let server: Trailsd
let signatures: number
/** `npm run test:runtimes` fetches the others, some 400 MB; every `npm test` has this one. */
const all = process.env["ALL_RUNTIMES"] === undefined ? [thisRuntime] : runtimes()
/** To pack, install and start all that is needed, on a busy machine, milliseconds. */
const START_MS = 300_000

/** The tenth part of those of test/conformance, and Wycheproof's: `[name, key, message, signature, expected]`. */
const writeSignatures = (): number => {
  const made = signatureCases.flatMap(([name, share, make]) => {
    const random = new Seeded(`case/${name}`)
    return Array.from({ length: share * 10 }, () => {
      const { key, message, signature } = make(random)
      const hex = [key, message, signature].map((bytes) => bytes.toString("hex"))
      return [name, ...hex, nodeEd25519.verify(key, message, signature)]
    })
  })
  const known = wycheproof().testGroups.flatMap(({ key, tests }) =>
    tests.map(({ comment, msg, result, sig }) => [comment, key.pk, msg, sig, result === "valid"])
  )
  writeFileSync(join(packed.folder, "signatures.json"), JSON.stringify([...made, ...known]))
  return made.length + known.length
}

beforeAll(async () => {
  packed = PackedClient.install()
  for (const name of ["packageProgram.mjs", "signatureProgram.mjs"])
    copyFileSync(join(import.meta.dirname, name), join(packed.folder, name))
  signatures = writeSignatures()
  server = await Trailsd.start()
}, START_MS)
afterAll(async () => {
  await server?.dispose()
  packed?.dispose()
})

const installed = (...path: ReadonlyArray<string>): string =>
  join(packed.folder, "node_modules/@trailsd/client", ...path)

/** What a module imports. */
const importsOf = (file: string): ReadonlyArray<string> =>
  [...readFileSync(file, "utf8").matchAll(/^(?:import|export)\b[^"]*?from "([^"]+)"/gm)].map(([, name]) => name ?? "")

/** The packages and builtins that a module reaches. */
const reachedFrom = (file: string, seen = new Set<string>()): ReadonlySet<string> => {
  const found = new Set<string>()
  if (seen.has(file)) return found
  seen.add(file)
  for (const name of importsOf(file)) {
    if (!name.startsWith(".")) found.add(name)
    else for (const inner of reachedFrom(join(dirname(file), name), seen)) found.add(inner)
  }
  return found
}

describe("the package", () => {
  it("has the client, its part of the protocol, and the papers; nothing else", () => {
    const papers = ["LICENSE", "LICENSE-APACHE", "LICENSE-MIT", "README.md", "package.json"]
    const rest = packed.files.filter((path) => !/^(?:client|protocol)\/\w+\.(?:js|d\.ts)$/.test(path))
    expect(rest.toSorted()).toEqual(papers)
  })

  it("brings ws and @noble/ed25519 along, and no more", () => {
    const modules = join(packed.folder, "node_modules")
    expect(readdirSync(modules).filter((name) => !name.startsWith("."))).toEqual(["@noble", "@trailsd", "ws"])
    expect(readdirSync(join(modules, "@noble"))).toEqual(["ed25519"])
  })

  it("needs nothing of Node in browsers", () => {
    expect([...reachedFrom(installed("client/browser.js"))]).toEqual(["@noble/ed25519"])
    const builtins = [...reachedFrom(installed("client/index.js"))].filter((name) => name.startsWith("node:"))
    expect(builtins.toSorted()).toEqual(["node:crypto", "node:net", "node:os", "node:tls"])
  })

  it("has types that stand without anybody else's", () => {
    writeFileSync(
      join(packed.folder, "typed.ts"),
      `import { init, type Outcome, type TrailsNode } from "@trailsd/client"
       const node: TrailsNode = await init({ root: { appName: "typed", serverEp: "ws://127.0.0.1:1/ws" } })
       const queued: boolean = node.status({ step: 1 }).queued
       // @ts-expect-error a name is text
       const outcome: Outcome | null = await (await node.createChild(3)).wait()
       await node[Symbol.asyncDispose]()
       export { queued, outcome }\n`
    )
    const tsc = resolve(import.meta.dirname, "../../node_modules/typescript/bin/tsc")
    for (const condition of [[], ["--customConditions", "browser"]]) {
      const flags = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022", "--types", "", ...condition]
      const { status, stdout } = spawnSync(process.execPath, [tsc, ...flags, "typed.ts"], {
        cwd: packed.folder,
        encoding: "utf8",
        timeout: 60_000
      })
      expect({ status, stdout }).toEqual({ status: 0, stdout: "" })
    }
  })
})

interface Said {
  readonly appId: string
  readonly isActive: boolean
  readonly part?: { readonly childId: string }
}

type Environment = Readonly<Record<string, string>>

interface Run {
  readonly code: number | null
  readonly said: Said
  readonly stderr: string
}

/** Runs the program to its end; a runtime that is kept alive by the client is killed, and has no exit code. */
const run = (runtime: Runtime, args: ReadonlyArray<string>, env: Environment = {}): Promise<Run> =>
  new Promise((settle, reject) => {
    const [command = "", ...flags] = runtime.command
    const child = spawn(command, [...flags, ...args], {
      cwd: packed.folder,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 60_000,
      killSignal: "SIGKILL",
      env: { HOME: packed.folder, PATH: process.env["PATH"] ?? "", NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...env }
    })
    let stdout = ""
    let stderr = ""
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()))
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()))
    child.once("error", reject)
    child.once("close", (code) => {
      try {
        settle({ code, said: JSON.parse(stdout) as Said, stderr })
      } catch {
        reject(new Error(`${runtime.name} said nothing (exit code ${code}):\n${stdout}\n${stderr}`))
      }
    })
  })

const report = (runtime: Runtime, ending: string, env: Environment): Promise<Run> =>
  run(runtime, ["packageProgram.mjs", ending], env)

const signedRoot = async (appName: string): Promise<{ readonly TRAILS_INFO: string }> => {
  const { body } = await post(server.http, "roots", { appName, secLevel: "signed" })
  return { TRAILS_INFO: (body as { readonly info: string }).info }
}

interface LogRow {
  readonly kind: string
  readonly payload: unknown
}

/** A node's log once it has ended: its kinds from its connection on, and its last payload. */
const ended = (appId: string) =>
  waitUntil("the node has ended", async () => {
    const { body } = await rest(server.http, `apps/${appId}/log`)
    const { items } = body as { readonly items: ReadonlyArray<LogRow> }
    const last = items.at(-1)
    if (last?.kind !== "result" && last?.kind !== "error") return false
    return { kinds: items.map(({ kind }) => kind).filter((kind) => kind !== "scheduled"), payload: last.payload }
  })

describe.each(all)("$name", (runtime) => {
  it("init, status, result, shutdown in level open", async () => {
    const { code, said, stderr } = await report(runtime, "result", { TRAILS_SERVER: server.url })
    expect({ code, said, stderr }).toMatchObject({ code: 0, said: { isActive: true, stored: true }, stderr: "" })
    expect(await ended(said.appId)).toMatchObject({
      kinds: ["connected", "status", "result"],
      payload: { by: "result" }
    })
  })

  it("a signed root and its child", async () => {
    const { code, said, stderr } = await report(runtime, "delegates", await signedRoot("delegates"))
    expect({ code, said, stderr }).toMatchObject({
      code: 0,
      said: { stored: true, part: { declared: { ok: true }, stored: true, state: "done", bytes: [1, 2, 3] } },
      stderr: ""
    })
    expect((await ended(said.appId)).kinds).toEqual(["connected", "status", "result"])
    const childId = said.part?.childId ?? ""
    expect((await ended(childId)).kinds).toEqual(["connected", "result"])
    expect((await rest(server.http, `apps/${childId}`)).body).toMatchObject({ status: "done", parent_id: said.appId })
  })

  it("a process with nothing left to do ends by itself, as done", async () => {
    const { code, said } = await report(runtime, "idle", await signedRoot("idle"))
    expect(code).toBe(0)
    await ended(said.appId)
    expect((await rest(server.http, `apps/${said.appId}`)).body).toMatchObject({ status: "done" })
  })

  it("a process that dies of an exception says of which", async () => {
    const { code, said, stderr } = await report(runtime, "throws", await signedRoot("throws"))
    expect(code).toBe(1)
    expect(stderr).toContain("the disk is full")
    expect((await ended(said.appId)).payload).toMatchObject({
      message: "the disk is full",
      detail: { name: "Error", cause: { message: "ENOSPC" } }
    })
  })

  it("process.exit(3) says so", async () => {
    const { code, said } = await report(runtime, "exits", await signedRoot("exits"))
    expect(code).toBe(3)
    await ended(said.appId)
    expect((await rest(server.http, `apps/${said.appId}`)).body).toMatchObject({ status: "error" })
  })

  it("its cryptography believes the same signatures as the server", async () => {
    const { code, said, stderr } = await run(runtime, ["signatureProgram.mjs"])
    expect({ code, said, stderr }).toMatchObject({ code: 0, said: { verified: signatures, wrong: [] }, stderr: "" })
  })

  it("without TRAILS_INFO nothing happens", async () => {
    const { code, said, stderr } = await report(runtime, "result", {})
    expect({ code, said, stderr }).toMatchObject({ code: 0, said: { isActive: false, stored: true }, stderr: "" })
  })
})

it("every runtime sees the server's pings, and keeps a socket on which nothing else happens", async () => {
  const runs = await Promise.all(
    all.map(async (runtime) => report(runtime, "quiet", await signedRoot(`quiet in ${runtime.name}`)))
  )
  for (const { code, said } of runs)
    expect({ code, said }).toMatchObject({ code: 0, said: { stored: true, reconnects: 0 } })
})
