import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { CliError } from "../../src/cli/CliError.ts"
import { parseEndpoint } from "../../src/cli/Endpoint.ts"
import { findServer } from "../../src/cli/ServerPlace.ts"
import { makeKeypair } from "../harness/Keypair.ts"
import { makeEnvelope } from "../harness/TestEnvelope.ts"

let home = ""
const key = makeKeypair().text

const write = (path: string, value: unknown) => {
  const file = join(home, ".trails", path)
  mkdirSync(join(file, ".."), { recursive: true })
  writeFileSync(file, typeof value === "string" ? value : JSON.stringify(value))
}

const problemOf = (run: () => unknown): CliError => {
  try {
    run()
  } catch (error) {
    if (error instanceof CliError) return error
    throw error
  }
  throw new Error("nothing was thrown")
}

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "trails-home-"))
  vi.stubEnv("HOME", home)
  for (const name of ["TRAILS_SERVER", "TRAILS_INFO", "TRAILS_ADMIN_KEY_FILE"]) vi.stubEnv(name, undefined)
})

afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(home, { recursive: true })
})

describe("parseEndpoint", () => {
  it.for([
    ["ws://127.0.0.1:8443/ws", "ws://127.0.0.1:8443/ws", "http://127.0.0.1:8443"],
    ["http://127.0.0.1:8443", "ws://127.0.0.1:8443/ws", "http://127.0.0.1:8443"],
    ["127.0.0.1:9000", "ws://127.0.0.1:9000/ws", "http://127.0.0.1:9000"],
    ["host", "ws://host:8443/ws", "http://host:8443"],
    ["[::1]", "ws://[::1]:8443/ws", "http://[::1]:8443"],
    ["host:80", "ws://host/ws", "http://host"],
    ["https://trails.example.org/", "wss://trails.example.org/ws", "https://trails.example.org"],
    ["wss://example.org/trails/ws", "wss://example.org/trails/ws", "https://example.org/trails"]
  ] as const)("%s", ([text, endpoint, url]) => {
    expect(parseEndpoint(text, "--server")).toEqual({ endpoint, url })
  })

  it.for(["", "http://", "a b", "udp://host:1", "http://me:secret@host", "http://host?x=1", "http://host/#x", ":"])(
    "refused with the source and what to write: %s",
    (text) => {
      const { exitCode, message, remedy } = problemOf(() => parseEndpoint(text, "TRAILS_SERVER"))
      expect(exitCode).toBe(64)
      expect(message).toContain("TRAILS_SERVER")
      expect(message).not.toContain("secret")
      expect(remedy).toContain("host:8443")
    }
  )
})

describe("findServer", () => {
  it("takes the first of option, variable, context, TRAILS_INFO and default that there is", () => {
    expect(findServer()).toMatchObject({ source: "default", endpoint: "ws://127.0.0.1:8443/ws" })
    const envelope = makeEnvelope({ serverEp: "ws://info:1/ws", serverPubKey: key, secLevel: "signed" }, null)
    vi.stubEnv("TRAILS_INFO", envelope.info)
    expect(findServer()).toMatchObject({ source: "TRAILS_INFO", url: "http://info:1", serverPubKey: key })
    write("contexts.json", { current: "far", contexts: { far: { server: "context:2", adminKeyFile: "/k" } } })
    expect(findServer()).toMatchObject({ source: "context", url: "http://context:2", adminKeyFile: "/k" })
    vi.stubEnv("TRAILS_SERVER", "variable:3")
    expect(findServer()).toMatchObject({ source: "TRAILS_SERVER", url: "http://variable:3" })
    expect(findServer("option:4")).toMatchObject({ source: "--server", url: "http://option:4" })
  })

  it("knows level and keys of a server on this machine from its own file, of no other", () => {
    write("servers/8443.json", { endpoint: "x", adminKeyFile: "/admin.pem", level: "signed", serverPubKey: key })
    const known = { adminKeyFile: "/admin.pem", level: "signed", serverPubKey: key }
    expect(findServer()).toMatchObject(known)
    expect(findServer("localhost:8443")).toMatchObject(known)
    expect(findServer("[::1]:8443")).toMatchObject(known)
    const nothing = { adminKeyFile: null, level: null, serverPubKey: null }
    expect(findServer("localhost:8444")).toMatchObject(nothing)
    expect(findServer("elsewhere:8443")).toMatchObject(nothing)
  })

  it("takes the key that TRAILS_ADMIN_KEY_FILE names before any other", () => {
    write("servers/8443.json", { adminKeyFile: "/admin.pem" })
    vi.stubEnv("TRAILS_ADMIN_KEY_FILE", "/mine.pem")
    expect(findServer().adminKeyFile).toBe("/mine.pem")
  })

  it("goes on without a TRAILS_INFO or a server's file that can't be read", () => {
    vi.stubEnv("TRAILS_INFO", "no envelope")
    write("servers/8443.json", "{")
    expect(findServer()).toMatchObject({ source: "default", level: null })
  })

  it.for(["{", "[]", '{"contexts":{"a":{}}}', '{"current":"b","contexts":{}}'])(
    "refuses contexts that are damaged, with the file's name: %s",
    (text) => {
      write("contexts.json", text)
      expect(problemOf(() => findServer())).toMatchObject({
        exitCode: 64,
        message: expect.stringContaining(join(home, ".trails", "contexts.json")) as string
      })
    }
  )
})
