import { spawn } from "node:child_process"
import { once } from "node:events"
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type RequestListener, type Server } from "node:http"
import { type AddressInfo, createServer as createTcpServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { makeKeypair, secretPem } from "../harness/Keypair.ts"
import { type Ended, TRAILS, TrailsCommand } from "./TrailsCommand.ts"

const ID = "0b9c8f3e-3f6e-4a3b-9c55-0d6f3f1f2a77"
const home = mkdtempSync(join(tmpdir(), "trails-refusals-"))
const keyFile = join(home, "admin.pem")

/** What the server in between answers. */
let answer: RequestListener = () => {}
let server: Server
let port = 0

const trails = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}): Promise<Ended> =>
  new TrailsCommand(args, { HOME: home, TRAILS_SERVER: `127.0.0.1:${port}`, ...env }).ended

const json = (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): RequestListener => {
  const type = status < 400 ? "application/json" : "application/problem+json"
  return (_request, response) =>
    response.writeHead(status, { "content-type": type, ...headers }).end(JSON.stringify(body))
}

const problem = (status: number, code: string, detail: string) => json(status, { status, code, detail })

beforeAll(async () => {
  writeFileSync(keyFile, secretPem(makeKeypair()), { mode: 0o600 })
  server = createServer((request, response) => answer(request, response))
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  port = (server.address() as AddressInfo).port
})

afterEach(() => {
  answer = () => {}
})

afterAll(() => {
  server.closeAllConnections()
  server.close()
  rmSync(home, { recursive: true })
})

describe("what keeps a command from its answer is said with what to do", () => {
  it("nobody listens: the address, where it was found, how to start a server", async () => {
    const closed = createTcpServer()
    await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve))
    const free = (closed.address() as AddressInfo).port
    await new Promise((resolve) => closed.close(resolve))
    const { code, stderr, stdout } = await trails(["status", ID, "--server", `127.0.0.1:${free}`])
    expect({ code, stdout }).toEqual({ code: 69, stdout: "" })
    expect(stderr).toContain(`No server listens at http://127.0.0.1:${free} (from --server)`)
    expect(stderr).toContain("npm start")
  })

  it.for<readonly [string, RequestListener]>([
    ["a page", (_request, response) => response.writeHead(200, { "content-type": "text/html" }).end("<html>")],
    ["a page of an error", (_request, response) => response.writeHead(404).end("not here")],
    ["JSON that is no object", json(200, null)],
    ["no JSON", (_request, response) => response.writeHead(200, { "content-type": "application/json" }).end("{")]
  ])("something else answers with %s", async ([, listener]) => {
    answer = listener
    const { code, stderr } = await trails(["status", ID])
    expect(code).toBe(69)
    expect(stderr).toContain(`There is no trailsd at http://127.0.0.1:${port} (from TRAILS_SERVER)`)
    expect(stderr).toContain("Check host and port")
  })

  it("doctor says so when the server answers one question and not the next", async () => {
    answer = (request, response) =>
      request.url === "/readyz" ? void response.destroy() : json(200, { serverTime: Date.now() })(request, response)
    const { code, stdout, stderr } = await trails(["doctor"])
    expect({ code, stderr }).toEqual({ code: 1, stderr: "" })
    expect(stdout).toMatch(/FAIL {2}ready +The server at .* does not answer/)
  })

  it.runIf(existsSync("/dev/full"))("output that can't be written is no verdict on a node", async () => {
    answer = json(200, { app_id: ID, app_name: "a", status: "done", ended: true, ended_at: null, outcome: null })
    const env = { PATH: process.env["PATH"] ?? "", HOME: home, TRAILS_SERVER: `127.0.0.1:${port}` }
    const full = openSync("/dev/full", "w")
    const codeOf = async (stdout: number | "ignore", stderr: number | "ignore", args: ReadonlyArray<string>) => {
      const child = spawn(TRAILS, args, { stdio: ["ignore", stdout, stderr], env })
      const [code] = (await once(child, "close")) as [number | null]
      return code
    }
    expect(await codeOf(full, "ignore", ["wait", ID])).toBe(74)
    answer = json(200, { app_id: ID, app_name: "a", status: "cancelled", ended: true, ended_at: null, outcome: null })
    expect(await codeOf("ignore", full, ["wait", ID])).toBe(4)
    closeSync(full)
  })

  it.for([
    ["wait", ID],
    ["log", ID]
  ])("%j says by its exit code that its reader has left", async (args) => {
    // More than a pipe holds: the reader is gone before all of it is written.
    const payload = "x".repeat(1024 * 1024)
    const row = { n: 1, kind: "result", created_at: "2026-11-25T15:30:00Z", payload }
    answer = (request, response) => {
      const isLog = request.url?.includes("/log") === true
      const outcome = { state: "done", payload }
      const ended = { app_id: ID, app_name: "a", status: "done", ended: true, outcome }
      json(200, isLog ? { items: request.url?.includes("after=0") === true ? [row] : [], next: null } : ended)(
        request,
        response
      )
    }
    const script = `{ { "$0" "$@"; echo $? >&3; } | head -c 1 >/dev/null; } 3>&1`
    const env = { PATH: process.env["PATH"] ?? "", HOME: home, TRAILS_SERVER: `127.0.0.1:${port}` }
    const shell = spawn("sh", ["-c", script, TRAILS, ...args], { stdio: ["ignore", "pipe", "inherit"], env })
    const [said] = (await once(shell.stdout, "data")) as [Buffer]
    expect(String(said)).toBe("141\n")
  })

  it("a run ends with its command when nobody reads its stderr any more", async () => {
    // A pipe of a shell's: the sockets that Node makes for its children fail later.
    const script = `{ { "$0" "$@" 2>&1 >/dev/null; echo $? >&3; } | true; } 3>&1`
    const args = ["run", "--server", "127.0.0.1:1", "--", "sh", "-c", "sleep 0.3; exit 4"]
    const env = { PATH: process.env["PATH"] ?? "", HOME: home }
    const stdio = ["ignore", "pipe", "inherit"] as const
    const shell = spawn("sh", ["-c", script, TRAILS, ...args], { stdio: [...stdio], env, detached: true })
    const tooLate = setTimeout(() => process.kill(-(shell.pid ?? 0), "SIGKILL"), 10_000)
    const [said] = (await once(shell.stdout, "data")) as [Buffer]
    clearTimeout(tooLate)
    expect(String(said)).toBe("4\n")
  })

  it("what listens does not speak HTTP", async () => {
    const tcp = createTcpServer((socket) => socket.on("error", () => {}).end("SSH-2.0-OpenSSH_9.2\r\n"))
    await new Promise<void>((resolve) => tcp.listen(0, "127.0.0.1", resolve))
    const { code, stderr } = await trails(["tree", "--server", `127.0.0.1:${(tcp.address() as AddressInfo).port}`])
    tcp.close()
    expect(code).toBe(69)
    expect(stderr).toContain("what answers there is not HTTP")
  })

  it("TLS where there is none", async () => {
    answer = json(200, {})
    const { code, stderr } = await trails(["tree"], { TRAILS_SERVER: `wss://127.0.0.1:${port}/ws` })
    expect(code).toBe(69)
    expect(stderr).toContain("does not speak TLS")
  })

  it("signatures are wanted and there is no key; or there is one that does not sign, or is not known", async () => {
    answer = problem(401, "signature_missing", "Sign the request")
    const none = await trails(["status", ID])
    expect(none).toMatchObject({ code: 77, stderr: expect.stringContaining("TRAILS_ADMIN_KEY_FILE") as string })
    const broken = await trails(["status", ID], { TRAILS_ADMIN_KEY_FILE: join(home, "none.pem") })
    expect(broken).toMatchObject({
      code: 77,
      stderr: expect.stringContaining("none.pem) can't be read (ENOENT)") as string
    })
    answer = (request, response) =>
      request.headers["signature-input"] === undefined
        ? problem(401, "signature_missing", "Sign the request")(request, response)
        : problem(401, "key_unknown", "keyid must be …")(request, response)
    const unknown = await trails(["status", ID], { TRAILS_ADMIN_KEY_FILE: keyFile })
    expect(unknown).toMatchObject({
      code: 77,
      stderr: expect.stringContaining("does not know the key ed25519:") as string
    })
  })

  it("an id is no id, nobody's, or not one node's alone", async () => {
    expect(await trails(["status", "nonsense"])).toMatchObject({
      code: 64,
      stderr: expect.stringContaining("first 4 digits") as string
    })
    answer = json(200, { items: [], next: null })
    expect(await trails(["status", "0b9c"])).toMatchObject({
      code: 64,
      stderr: expect.stringContaining("begins with 0b9c") as string
    })
    const items = [0, 1].map((digit) => ({
      app_id: `0b9c000${digit}-0000-4000-8000-000000000000`,
      app_name: "a\u001b[2J",
      status: "done"
    }))
    answer = json(200, { items, next: null })
    const { code, stderr } = await trails(["wait", "0b9c"])
    expect(code).toBe(64)
    expect(stderr).toContain("2 ids begin with 0b9c")
    expect(stderr).toContain("0b9c0001-0000-4000-8000-000000000000  a\\u001b[2J (done)")
  })

  it("a server that can't answer now is asked again, and then given up", async () => {
    let asked = 0
    answer = (request, response) => {
      asked++
      json(
        503,
        { code: "unavailable", detail: "The database does not answer" },
        { "retry-after": "0" }
      )(request, response)
    }
    const { code, stderr } = await trails(["subject", ID])
    expect({ code, asked }).toEqual({ code: 69, asked: 5 })
    expect(stderr).toContain("The database does not answer")
  })

  it("wrong usage, with what was probably meant", async () => {
    const cases: ReadonlyArray<readonly [ReadonlyArray<string>, string]> = [
      [["tre"], "Did you mean tree?"],
      [["tree", "--wach"], "Did you mean --watch?"],
      [["context", "ad"], "Did you mean add?"],
      [["wait"], "missing required argument 'id'"],
      [["wait", "0b9c", "--any", "--all"], "cannot be used with"],
      [["wait", "0b9c", "--timeout", "soon"], "1500ms, 30s, 5m, 2h"],
      [["tree", "0b9c", "1234"], "too many arguments"]
    ]
    const ended = await Promise.all(cases.map(([args]) => trails(args)))
    for (const [index, [, text]] of cases.entries())
      expect(ended[index]).toMatchObject({ code: 64, stdout: "", stderr: expect.stringContaining(text) as string })
  })

  it("help and version are no errors", async () => {
    const [bare, version] = await Promise.all([trails([]), trails(["--version"])])
    expect(bare).toMatchObject({ code: 0, stderr: "", stdout: expect.stringContaining("Usage: trails") as string })
    expect(version).toMatchObject({ code: 0, stderr: "", stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string })
  })
})
