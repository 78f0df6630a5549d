import { nkeys } from "@nats-io/transport-node"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, describe, expect, it } from "vitest"
import type { NatsSettings } from "../../src/Settings.ts"
import type { NatsLimits } from "../../src/transports/NatsLink.ts"
import { natsText } from "../../src/transports/NatsDial.ts"
import { isGoodNatsVersion } from "../../src/transports/NatsVersion.ts"
import { NatsGreeter } from "../harness/NatsGreeter.ts"
import { NatsServer, type NatsServerOptions } from "../harness/NatsServer.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { natsSettings, type Replica, startReplica } from "./NatsReplica.ts"

const cleanUp: Array<() => unknown> = []
afterEach(async () => {
  for (const step of cleanUp.splice(0).toReversed()) await step()
})
const serve = async (options?: NatsServerOptions): Promise<NatsServer> => {
  const server = await NatsServer.start(options)
  cleanUp.push(() => server.dispose())
  return server
}
const replica = async (nats: NatsSettings, limits?: Partial<NatsLimits>): Promise<Replica> => {
  const started = await startReplica(nats, limits)
  cleanUp.push(() => started.dispose())
  return started
}

const greeter = async (version: string): Promise<NatsGreeter> => {
  const server = await NatsGreeter.start(version)
  cleanUp.push(() => server.dispose())
  return server
}

const LOGIN = { user: "trailsd", password: "geheim" }

describe("versions of nats-server", () => {
  it.each([
    ["2.9.10", false],
    ["2.10.29", false],
    ["2.11.15", false],
    ["2.11.16", true],
    ["2.11.99", true],
    ["2.12.6", false],
    ["2.12.7", true],
    ["2.13.0", false],
    ["2.13.99", false],
    ["2.14.0", true],
    ["2.14.0-RC.1", true],
    ["2.20.1", true],
    ["3.0.0", true],
    ["1.99.99", false],
    ["", false],
    ["2.14", false],
    ["unknown", false]
  ])("%s is good: %s", (version, good) => expect(isGoodNatsVersion(version)).toBe(good))

  it("one that is too old is refused at the start, by name and with the remedy, and is not told the login", async () => {
    const old = await greeter("2.11.15")
    const start = startReplica(natsSettings([old], LOGIN, { anyVersion: false }))
    await expect(start).rejects.toMatchObject({ _tag: "NatsError", reason: "Refused" })
    await expect(start).rejects.toThrow(/posing at 127\.0\.0\.1:\d+ has version 2\.11\.15.*NATS_ANY_VERSION=true/)
    expect(old.received).toEqual([])
  })

  it("where any version is allowed, it is used", async () => {
    const { connected, link } = await replica(natsSettings([await greeter("2.0.0")]))
    await connected()
    expect(link.server()).toEqual({ name: "posing", version: "2.0.0" })
  })

  it("of several servers those that are good are used, at the start as well", async () => {
    const [old, good] = [await greeter("2.9.10"), await greeter("2.14.0")]
    const { connected, link } = await replica(natsSettings([old, good], null, { anyVersion: false }))
    await connected()
    expect(link.server()?.version).toBe("2.14.0")
    expect(old.received).toEqual([])
  })

  it("one that has become too old is an error in the log and is not used, until it is good again", async () => {
    const server = await greeter("2.14.0")
    const { connected, lines, link } = await replica(natsSettings([server], LOGIN, { anyVersion: false }))
    await connected()
    server.version = "2.9.10"
    server.received.length = 0
    server.drop()
    await waitUntil("the refusal is said", () => lines.some((line) => /^Error .*has version 2\.9\.10/.test(line)))
    expect(link.connection()).toBeNull()
    expect(link.trouble()).toContain("has version 2.9.10")
    expect(server.received).toEqual([])
    server.version = "2.12.7"
    await connected()
  })

  it("a name that leads to another machine after the greeting does not get an old one in", async () => {
    const server = await greeter("2.14.0")
    const { lines, link } = await replica(natsSettings([server], null, { anyVersion: false }), { retryMs: [20, 20] })
    await waitUntil("connected", () => link.connection() !== null)
    server.flips = true
    server.drop()
    await waitUntil("the refusal is said", () => lines.some((line) => /^Error .*has version 2\.9\.10/.test(line)))
    expect(link.connection()).toBeNull()
  })
})

describe("logins", () => {
  it("a user with a password, a token, or a file of credentials", async () => {
    const byPassword = await serve({ login: LOGIN })
    await (await replica(natsSettings([byPassword], LOGIN))).connected()

    const byToken = await serve({ config: 'authorization: { token: "geheim" }' })
    await (await replica(natsSettings([byToken], { token: "geheim" }))).connected()

    const user = nkeys.createUser()
    const byKey = await serve({ config: `authorization: { users: [ { nkey: ${user.getPublicKey()} } ] }` })
    const credsFile = credentials(new TextDecoder().decode(user.getSeed()))
    await (await replica(natsSettings([byKey], null, { credsFile }))).connected()
  })

  it.each([
    ["a password", LOGIN, { user: "trailsd", password: "geraten" }],
    ["a token", { user: "trailsd", password: "geheim" }, { token: "geraten" }]
  ])("%s that is wrong is said as an error, tried again, and never shown", async (_, login, wrong) => {
    const server = await serve({ login })
    const { lines, link } = await replica(natsSettings([server], wrong))
    await waitUntil("tried three times", () => lines.length >= 3)
    expect(lines.every((line) => line.startsWith("Error ") && line.includes("does not accept the login"))).toBe(true)
    expect(link.trouble()).toContain(`127.0.0.1:${server.port} does not accept the login: check NATS_URL`)
    expect(lines.join() + link.trouble()).not.toMatch(/geheim|geraten/)
  })

  it("a file of credentials that can't be used is an error at the start, and not shown", async () => {
    const nats = natsSettings([{ port: 1 }])
    const missing = startReplica({ ...nats, credsFile: "/does/not/exist" })
    await expect(missing).rejects.toMatchObject({ reason: "Credentials", message: /can't be read/ })
    for (const content of ["geheim", "geraten".repeat(99)]) {
      const start = startReplica({ ...nats, credsFile: credentials(content) })
      await expect(start).rejects.toMatchObject({ reason: "Credentials" })
      await expect(start).rejects.not.toThrow(/geheim|geraten/)
    }
  })

  it("tls:// sends nothing to a server without TLS", async () => {
    const plain = await greeter("2.14.0")
    const { lines } = await replica(natsSettings([plain], LOGIN, { tls: true }))
    await waitUntil("refused", () => lines.some((line) => line.includes("does not support 'tls'")))
    expect(plain.received).toEqual([])
  })

  it("whatever a server or the client says is shown on one line and without the login", () => {
    const texts = [LOGIN, { token: "geheim" }].map((login) =>
      natsText(new Error(`no way, geheim\r\n at nats://trailsd:geheim@h ${"x".repeat(999)}`), natsSettings([], login))
    )
    for (const text of texts) {
      expect(text).toMatch(/^no way, \*\*\* {2}?at nats:\/\/trailsd:\*\*\*@h x+$/)
      expect(text.length).toBeLessThanOrEqual(300)
    }
  })

  it("what the login may not do is said, and the connection goes on", async () => {
    const server = await serve({
      config: 'authorization: { users: [ { user: u, password: geheim, permissions: { publish: { deny: "no" } } } ] }'
    })
    const { bus, connected, lines, link } = await replica(natsSettings([server], { user: "u", password: "geheim" }))
    await connected()
    const connection = link.connection()
    bus.publish("no", "x")
    await waitUntil("said", () => lines.some((line) => /^Error NATS refuses .*"no"; see deploy\/nats\.conf/.test(line)))
    expect(link.connection()).toBe(connection)
    expect(lines.join()).not.toContain("geheim")
  })
})

const credentials = (seed: string): string => {
  const folder = mkdtempSync(join(tmpdir(), "trails-creds-"))
  cleanUp.push(() => rmSync(folder, { recursive: true }))
  const file = join(folder, "test.creds")
  writeFileSync(
    file,
    `-----BEGIN NATS USER JWT-----\nnone\n------END NATS USER JWT------\n\n` +
      `-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`,
    { mode: 0o600 }
  )
  return file
}
