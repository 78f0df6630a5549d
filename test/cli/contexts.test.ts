import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { addContext, contextLines, removeContext, useContext } from "../../src/cli/ContextEdit.ts"
import { contextsFile, readContexts } from "../../src/cli/Contexts.ts"
import { plain } from "../../src/cli/Paint.ts"
import { findServer } from "../../src/cli/ServerPlace.ts"
import { makeKeypair, secretPem } from "../harness/Keypair.ts"

let home = ""

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "trails-contexts-"))
  vi.stubEnv("HOME", home)
  vi.stubEnv("TRAILS_SERVER", undefined)
  vi.spyOn(process.stderr, "write").mockReturnValue(true)
})

afterEach(() => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
  rmSync(home, { recursive: true })
})

describe("contexts", () => {
  it("are added, used, listed and removed; the file is its owner's alone", () => {
    const pair = makeKeypair()
    const keyFile = join(home, "admin.pem")
    writeFileSync(keyFile, secretPem(pair))
    addContext("far", { server: "https://far.example.org", adminKey: keyFile, serverKey: pair.text })
    addContext("near", { server: "localhost:9000" })
    expect(findServer().source).toBe("default")
    useContext("far")
    expect(statSync(contextsFile() ?? "").mode & 0o777).toBe(0o600)
    expect(findServer()).toMatchObject({
      source: "context",
      endpoint: "wss://far.example.org/ws",
      adminKeyFile: keyFile,
      serverPubKey: pair.text
    })
    expect(contextLines(readContexts(), plain)).toEqual([
      `* far   wss://far.example.org/ws  ${keyFile}`,
      "  near  ws://localhost:9000/ws"
    ])
    removeContext("far")
    expect(readContexts()).toMatchObject({ current: null, contexts: { near: {} } })
    useContext("near")
    useContext(null)
    expect(findServer().source).toBe("default")
  })

  it("without a home there are none, and none can be kept; nor where nothing can be written", () => {
    vi.stubEnv("HOME", "")
    expect(contextsFile()).toBe(null)
    expect(findServer()).toMatchObject({ source: "default", level: null })
    expect(() => addContext("one", { server: "host" })).toThrow(expect.objectContaining({ exitCode: 73 }))
    const file = join(home, "file")
    writeFileSync(file, "")
    vi.stubEnv("HOME", file)
    expect(() => addContext("one", { server: "host" })).toThrow(expect.objectContaining({ exitCode: 73 }))
  })

  it("are tried before they are written", () => {
    addContext("one", { server: "host" })
    const refused = (run: () => void) =>
      expect(run).toThrow(expect.objectContaining({ exitCode: expect.any(Number) as number }))
    refused(() => addContext("one", { server: "host" }))
    refused(() => addContext("../two", { server: "host" }))
    refused(() => addContext("two", {}))
    refused(() => addContext("two", { server: "udp://host" }))
    refused(() => addContext("two", { server: "host", adminKey: join(home, "none.pem") }))
    refused(() => addContext("two", { server: "host", serverKey: "ed25519:AAAA" }))
    refused(() => useContext("two"))
    refused(() => useContext("constructor"))
    refused(() => removeContext("two"))
    expect(Object.keys(readContexts().contexts)).toEqual(["one"])
  })
})
