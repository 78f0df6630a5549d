import { afterEach, describe, expect, it } from "vitest"
import { WebSocket } from "ws"
import { isTrustedLoopback, originProblem } from "../../src/transports/RequestOrigin.ts"
import { Peer } from "./Peer.ts"
import { startTransport, type Transport } from "./startTransport.ts"

const settings = (changes: object = {}) => ({ loopback: true, publicUrl: null, allowedOrigins: [], ...changes })
const request = (headers: Record<string, string>, remoteAddress = "127.0.0.1") => ({
  headers,
  socket: { remoteAddress }
})

describe("Host (DNS rebinding, PROTOCOL §4)", () => {
  it.each([
    ["localhost", true],
    ["localhost:8443", true],
    ["LOCALHOST.:8443", true],
    ["127.0.0.1:8443", true],
    ["127.9.9.9", true],
    ["[::1]:8443", true],
    ["app.localhost", true],
    ["evil.example", false],
    ["evil.example:8443", false],
    ["127.0.0.1.evil.example", false],
    ["localhost.evil.example", false],
    ["notlocalhost", false],
    ["192.168.1.1", false],
    ["[::2]", false],
    ["0.0.0.0", false],
    ["localhost@evil.example", false],
    ["", false]
  ])("loopback listener, Host %s → allowed: %s", (host, allowed) => {
    expect(originProblem(request({ host }), settings()) === null).toBe(allowed)
  })

  it("no Host → refused", () => {
    expect(originProblem(request({}), settings())).toMatchObject({ status: 421 })
    expect(originProblem(request({}), settings({ loopback: false }))).toMatchObject({ status: 421 })
  })

  it("more than one Host → refused, also when they agree", () => {
    const twice = {
      ...request({ host: "localhost" }),
      rawHeaders: ["Host", "localhost", "X", "host", "HOST", "localhost"]
    }
    expect(originProblem(twice, settings())).toMatchObject({ status: 421 })
    expect(originProblem(twice, settings({ loopback: false }))).toMatchObject({ status: 421 })
    const once = { ...twice, rawHeaders: twice.rawHeaders.slice(0, 4) }
    expect(originProblem(once, settings())).toBeNull()
  })

  it("the host of TRAILS_PUBLIC_URL is allowed, others still not", () => {
    const published = settings({ publicUrl: "https://trails.example.org:8443/x" })
    expect(originProblem(request({ host: "trails.example.org" }), published)).toBeNull()
    expect(originProblem(request({ host: "other.example.org" }), published)).toMatchObject({ status: 421 })
  })

  it("a listener that is not bound to loopback takes any name", () => {
    expect(originProblem(request({ host: "trails.example.org" }), settings({ loopback: false }))).toBeNull()
  })
})

describe("Origin", () => {
  it.each([
    ["https://console.example", ["https://console.example"], true],
    ["https://Console.Example", ["https://console.example"], true],
    ["https://console.example.evil", ["https://console.example"], false],
    ["http://console.example", ["https://console.example"], false],
    ["http://localhost:3000", [], false],
    ["null", [], false],
    ["", [], false]
  ])("%s with the list %j → allowed: %s", (origin, allowedOrigins, allowed) => {
    const problem = originProblem(request({ host: "localhost", origin }), settings({ allowedOrigins }))
    expect(problem?.status).toBe(allowed ? undefined : 403)
  })
})

describe("trusted loopback", () => {
  it("a direct request on a loopback listener → trusted", () => {
    expect(isTrustedLoopback(request({ host: "localhost" }), settings())).toBe(true)
    expect(isTrustedLoopback(request({ host: "localhost" }, "::1"), settings())).toBe(true)
    expect(isTrustedLoopback(request({ host: "localhost" }, "::ffff:127.0.0.1"), settings())).toBe(true)
  })

  it.each([
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "x-client-ip",
    "x-original-host",
    "x-envoy-external-address",
    "cf-connecting-ip",
    "true-client-ip",
    "forwarded",
    "via"
  ])("the forwarding header %s → not trusted", (name) => {
    expect(isTrustedLoopback(request({ host: "localhost", [name]: "x" }), settings())).toBe(false)
  })

  it.each([
    ["cross-site", false],
    ["same-site", true],
    ["same-origin", true],
    ["none", true]
  ])("Sec-Fetch-Site: %s → trusted: %s", (site, trusted) => {
    expect(isTrustedLoopback(request({ host: "localhost", "sec-fetch-site": site }), settings())).toBe(trusted)
  })

  it("another listener, another peer, another host, a foreign page → not trusted", () => {
    expect(isTrustedLoopback(request({ host: "localhost" }), settings({ loopback: false }))).toBe(false)
    expect(isTrustedLoopback(request({ host: "localhost" }, "192.168.1.7"), settings())).toBe(false)
    expect(isTrustedLoopback(request({ host: "evil.example" }), settings())).toBe(false)
    expect(isTrustedLoopback(request({ host: "localhost", origin: "https://evil.example" }), settings())).toBe(false)
  })
})

describe("the upgrade keeps these rules", () => {
  let transport: Transport
  afterEach(() => transport.stop())

  const statusOf = (headers: Record<string, string>) =>
    new Promise<number>((resolve, reject) => {
      const socket = new WebSocket(transport.url, ["trails.v1"], { headers })
      socket.on("unexpected-response", (_, response) => resolve(response.statusCode ?? 0))
      socket.on("open", () => {
        socket.terminate()
        resolve(101)
      })
      socket.on("error", reject)
    })

  it("foreign Host → 421, foreign Origin → 403, allowed Origin → 101", async () => {
    transport = await startTransport({ allowedOrigins: ["https://console.example"] })
    expect(await statusOf({ host: "evil.example" })).toBe(421)
    expect(await statusOf({ origin: "https://evil.example" })).toBe(403)
    expect(await statusOf({ origin: "https://console.example" })).toBe(101)
    expect(await statusOf({})).toBe(101)
  })

  it("through a proxy the privileges of open do not hold: unsigned → level_too_weak, signed → registered", async () => {
    transport = await startTransport()
    const headers = { "x-forwarded-for": "203.0.113.7" }
    const unsigned = await Peer.connect(transport, {}, { headers })
    expect(await unsigned.register()).toMatchObject({
      code: "level_too_weak",
      message: expect.stringMatching(/proxy/) as string
    })
    const signed = await Peer.connect(transport, { signed: true }, { headers })
    expect(await signed.register()).toMatchObject({ type: "registered" })
    const legacy = await Peer.connect(transport, {}, { headers, dialect: "legacy" })
    expect(await legacy.register()).toMatchObject({ code: "level_too_weak" })
  })

  it.each([
    [{ "x-forwarded-for": "203.0.113.7" }, "signed"],
    [{ "sec-fetch-site": "cross-site" }, "signed"],
    [{}, "open"]
  ])("%j → the actor is told the floor %s, at both registrations", async (headers, floor) => {
    transport = await startTransport()
    const peer = await Peer.connect(transport, { signed: true }, { headers })
    await peer.register()
    const again = await Peer.connect(transport, { signed: true, appId: peer.appId, keys: peer.keys }, { headers })
    await again.attach(again.reRegisterFrame())
    expect(transport.actors.of("Register").map((message) => message.floor)).toEqual([floor])
    expect(transport.actors.of("ReRegister").map((message) => message.floor)).toEqual([floor])
  })

  it("a listener for everybody, open by its operator's word, takes unsigned nodes through a proxy too", async () => {
    transport = await startTransport({ loopback: false })
    const peer = await Peer.connect(transport, {}, { headers: { via: "1.1 proxy" } })
    expect(await peer.register()).toMatchObject({ type: "registered" })
  })
})
