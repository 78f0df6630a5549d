import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { connect as tcp, createServer, type AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect } from "node:tls"
import { Effect, Layer } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { WebSocket } from "ws"
import { Settings } from "../../src/Settings.ts"
import { HttpServer, type ListenError } from "../../src/transports/HttpServer.ts"
import { SETTINGS, startTransport } from "./startTransport.ts"

const folder = mkdtempSync(join(tmpdir(), "trails-tls-"))
const certFile = join(folder, "cert.pem")
const keyFile = join(folder, "key.pem")

beforeAll(() => {
  execFileSync(
    "openssl",
    [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-days",
      "2",
      "-subj",
      "/CN=localhost",
      "-addext",
      "subjectAltName=DNS:localhost,IP:127.0.0.1",
      "-keyout",
      keyFile,
      "-out",
      certFile
    ],
    { stdio: "ignore" }
  )
})
afterAll(() => rmSync(folder, { recursive: true }))

const listenError = (changes: object): Promise<ListenError> =>
  Effect.runPromise(
    Effect.flip(
      HttpServer.use((server) => server.listen).pipe(
        Effect.provide(
          HttpServer.layer((_, response) => response.end()).pipe(
            Layer.provide(Layer.succeed(Settings, { ...SETTINGS, ...changes }))
          )
        )
      )
    )
  )

describe("the listener", () => {
  it("a port in use → says so, and how to choose another", async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve))
    const { port } = other.address() as AddressInfo
    const error = await listenError({ listen: { host: "127.0.0.1", port } })
    expect(error.reason).toBe("InUse")
    expect(error.message).toMatch(
      new RegExp(`127\\.0\\.0\\.1:${port} is in use.*LISTEN_ADDR=127\\.0\\.0\\.1:\\d+ npm start`)
    )
    other.close()
  })

  it("an address of another machine → says so", async () => {
    const error = await listenError({ listen: { host: "203.0.113.1", port: 0 } })
    expect(error).toMatchObject({ reason: "NoSuchAddress" })
    expect(error.message).toMatch(/LISTEN_ADDR/)
  })

  it.each([
    [
      "a certificate that is not there",
      { certFile: "/nowhere/cert.pem", keyFile: "" },
      /TRAILS_TLS_CERT_FILE=\/nowhere/
    ],
    ["a key that is not there", { certFile: "", keyFile: "/nowhere/key.pem" }, /TRAILS_TLS_KEY_FILE=\/nowhere/]
  ])("%s → a typed error that names the setting", async (_, files, message) => {
    const tls = { certFile: files.certFile || certFile, keyFile: files.keyFile || keyFile }
    const error = await listenError({ tls })
    expect(error).toMatchObject({ reason: "Tls", message: expect.stringMatching(message) as string })
  })

  it("files that are no pair → a typed error without their content", async () => {
    const nonsense = join(folder, "nonsense.pem")
    writeFileSync(nonsense, "very secret nonsense")
    const error = await listenError({ tls: { certFile, keyFile: nonsense } })
    expect(error.reason).toBe("Tls")
    expect(error.message).not.toMatch(/very secret/)
  })

  it("serves requests beside upgrades", async () => {
    const transport = await startTransport()
    const answer = await fetch(`http://127.0.0.1:${transport.port}/healthz`)
    expect(await answer.text()).toBe("rest")
    await transport.stop()
    await expect(fetch(`http://127.0.0.1:${transport.port}/healthz`)).rejects.toThrow(/fetch failed/)
  })

  it("wss and https with TLS files; TLS below 1.2 is refused", async () => {
    const transport = await startTransport({ tls: { certFile, keyFile } })
    const socket = new WebSocket(transport.url, ["trails.v1"], { rejectUnauthorized: false })
    const hello = await new Promise<string>((resolve, reject) => {
      socket.on("message", (data) => resolve((data as Buffer).toString()))
      socket.on("error", reject)
    })
    expect(JSON.parse(hello)).toMatchObject({ type: "hello" })
    socket.terminate()
    const old = connect({
      host: "127.0.0.1",
      port: transport.port,
      rejectUnauthorized: false,
      minVersion: "TLSv1",
      maxVersion: "TLSv1.1",
      ciphers: "DEFAULT@SECLEVEL=0"
    })
    const problem = await new Promise<Error>((resolve, reject) => {
      old.on("error", resolve)
      old.on("secureConnect", () => reject(new Error("it connected")))
    })
    expect(problem.message).toMatch(/alert|version|protocol/i)
    await transport.stop()
  })

  it("a request whose headers never end → 408 within the time limits (P16)", async () => {
    const transport = await startTransport()
    const socket = tcp(transport.port, "127.0.0.1")
    socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n")
    const start = performance.now()
    const answer = await new Promise<string>((resolve) => socket.on("data", (data) => resolve(data.toString())))
    expect(answer).toMatch(/^HTTP\/1.1 408/)
    expect(performance.now() - start).toBeLessThan(13_000)
    await transport.stop()
  })

  it("closing is bounded although a request hangs", async () => {
    const transport = await startTransport({}, {}, () => {})
    const hanging = fetch(`http://127.0.0.1:${transport.port}/`).catch((error: unknown) => error)
    await new Promise((resolve) => setTimeout(resolve, 50))
    const start = performance.now()
    await transport.stop()
    expect(performance.now() - start).toBeLessThan(2500)
    expect(await hanging).toBeInstanceOf(Error)
  })
})
