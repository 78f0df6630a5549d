import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "vitest"
import { keypairFromSeed } from "../harness/Keypair.ts"
import { leash } from "../harness/Leash.ts"
import { TcpProxy } from "../harness/TcpProxy.ts"
import { makeEnvelope } from "../harness/TestEnvelope.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"

let server: Trailsd
let proxy: TcpProxy
let folder: string

beforeAll(async () => {
  server = await Trailsd.start({ env: { TRAILS_LOG: "debug" } })
  proxy = await TcpProxy.to("127.0.0.1", server.port)
  folder = mkdtempSync(join(tmpdir(), "trails-custody-"))
})
afterAll(async () => {
  await proxy.close()
  await server.dispose()
  rmSync(folder, { recursive: true, force: true })
})

/** The ways in which 32 secret bytes may have got out. */
const spellings = (seed: Buffer): ReadonlyArray<Buffer> => [
  seed,
  Buffer.from(seed.toString("hex")),
  Buffer.from(seed.toString("base64").slice(0, 42)),
  Buffer.from(seed.toString("base64url").slice(0, 42)),
  Buffer.from([...seed].join(",")),
  Buffer.from([...seed].join(", "))
]

const filesBelow = (path: string): ReadonlyArray<string> =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))

/** Where the secret is found: in files below the folders, or in the texts. */
const leaks = (
  seed: Buffer,
  folders: ReadonlyArray<string>,
  texts: Readonly<Record<string, Buffer>>
): ReadonlyArray<string> => {
  const holds = (content: Buffer): boolean => spellings(seed).some((spelling) => content.includes(spelling))
  return [
    ...folders.flatMap(filesBelow).filter((file) => holds(readFileSync(file))),
    ...Object.entries(texts)
      .filter(([, content]) => holds(content))
      .map(([name]) => name)
  ]
}

/** Inodes of the sockets that this process listens on. */
const listening = (pid: number): ReadonlyArray<string> => {
  const own = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? []
      } catch {
        // Closed meanwhile.
        return []
      }
    })
  )
  const LISTEN = "0A"
  return ["tcp", "tcp6"].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, "utf8")
      .split("\n")
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === LISTEN && own.has(fields[9] ?? ""))
      .map((fields) => fields[9]!)
  )
}

it("the search finds what is there: each spelling of a secret, and a listening socket", () => {
  const planted = randomBytes(32)
  for (const [index, spelling] of spellings(planted).entries()) {
    const file = join(folder, `planted-${index}`)
    writeFileSync(file, Buffer.concat([Buffer.from("before "), spelling, Buffer.from(" behind")]))
    expect(leaks(planted, [folder], {})).toEqual([file])
    rmSync(file)
  }
  expect(leaks(planted, [], { text: Buffer.from(`x${planted.toString("hex")}`) })).toEqual(["text"])
  expect(listening(server.pid).length).toBeGreaterThan(0)
})

it("a node's key never leaves its memory, and it never listens (P15)", async () => {
  const seed = randomBytes(32)
  const { info } = makeEnvelope(
    {
      serverEp: `ws://127.0.0.1:${proxy.port}/ws`,
      serverPubKey: server.serverKey.text,
      secLevel: "signed",
      startDeadline: 0,
      childKey: keypairFromSeed(seed).text
    },
    server.serverKey
  )
  const child = spawn(process.execPath, [join(import.meta.dirname, "sdk/markedNode.ts")], {
    cwd: folder,
    stdio: ["pipe", "pipe", "pipe"],
    env: { PATH: process.env["PATH"], HOME: folder, TMPDIR: folder, TRAILS_INFO: info }
  })
  const unleash = leash(child.pid!)
  let said = Buffer.alloc(0)
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => {
      said = Buffer.concat([said, chunk])
    })
  const ended = new Promise((resolve) => child.once("close", resolve))
  child.stdin.write(seed)
  await waitUntil("it has registered and shown itself", () => said.includes("trails_app_id"), { withinMs: 30_000 })
  expect(listening(child.pid!)).toEqual([])
  proxy.breakAll()
  const procOf = (name: string) => readFileSync(`/proc/${child.pid}/${name}`)
  const seen = { environ: procOf("environ"), cmdline: procOf("cmdline") }
  expect(seen.environ.length).toBeGreaterThan(100)
  child.stdin.write("end")
  await ended
  unleash()
  expect(said.toString()).toContain("stored: true")
  await server.stop()
  expect(statSync(server.dataDir).isDirectory()).toBe(true)
  expect(filesBelow(server.dataDir).length).toBeGreaterThan(10)
  expect(leaks(seed, [folder, server.folder], { ...seen, said, log: Buffer.from(server.output) })).toEqual([])
})
