import { readFileSync } from "node:fs"
import { hostname } from "node:os"
import { inspect } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { showDuration } from "../../src/protocol/Duration.ts"
import { nearestName } from "../../src/protocol/NearestName.ts"
import { type Environment, loadSettings } from "../../src/SettingsConfig.ts"
import { settingsTable } from "../../src/SettingsTable.ts"
import { readmeTable } from "./readmeTable.ts"

const settingsOf = (env: Environment) => Effect.map(loadSettings(env), (loaded) => loaded.settings)
const problemsOf = (env: Environment) => Effect.map(Effect.flip(loadSettings(env)), (error) => error.problems)

describe("defaults", () => {
  it.effect("an empty environment gives an open, embedded server on loopback", () =>
    Effect.gen(function* () {
      const settings = yield* settingsOf({})
      assert.deepStrictEqual(settings, {
        databaseUrl: null,
        nats: null,
        events: { maxAge: 604_800_000, maxBytes: 1_073_741_824, dedupe: 120_000, replicas: null },
        listen: { host: "127.0.0.1", port: 8443 },
        tls: null,
        instance: hostname(),
        dataDir: "./.trailsd",
        serverKey: null,
        serverKeyFile: null,
        adminKeyFile: null,
        minLevel: "open",
        admission: "open",
        publicUrl: null,
        allowedOrigins: [],
        defaultStartDeadline: 300,
        disconnectGrace: 1500,
        reconnectWindow: 60_000,
        replicaLease: 15_000,
        drainDelay: 0,
        pingInterval: 30_000,
        maxFrame: 1_048_576,
        logLevel: "info",
        loopback: true
      })
    })
  )

  it.effect("an empty variable counts as absent", () =>
    Effect.gen(function* () {
      const settings = yield* settingsOf({ TRAILS_MIN_LEVEL: "", DATABASE_URL: "", LISTEN_ADDR: "" })
      assert.strictEqual(settings.minLevel, "open")
      assert.isNull(settings.databaseUrl)
    })
  )

  it.effect("the default that each row of the table shows is the default that is used", () =>
    Effect.gen(function* () {
      const stated = Object.fromEntries(
        Object.values(settingsTable)
          .filter((row) => !row.byDefault.startsWith("("))
          .map((row) => [row.env, row.byDefault])
      )
      assert.deepStrictEqual(yield* settingsOf(stated), yield* settingsOf({}))
    })
  )

  for (const [listen, host, port, level] of [
    ["127.0.0.1:9000", "127.0.0.1", 9000, "open"],
    ["9000", "127.0.0.1", 9000, "open"],
    ["localhost:9000", "localhost", 9000, "open"],
    ["[::1]:9000", "::1", 9000, "open"],
    ["127.9.9.9:9000", "127.9.9.9", 9000, "open"],
    ["0.0.0.0:8443", "0.0.0.0", 8443, "signed"],
    [":8443", "0.0.0.0", 8443, "signed"],
    ["[::]:8443", "::", 8443, "signed"],
    ["trails.example.org:8443", "trails.example.org", 8443, "signed"],
    ["127.0.0.1.example.org:1", "127.0.0.1.example.org", 1, "signed"]
  ] as const) {
    it.effect(`LISTEN_ADDR=${listen} → ${level}, admission ${level === "open" ? "open" : "ticket"}`, () =>
      Effect.gen(function* () {
        const settings = yield* settingsOf({ LISTEN_ADDR: listen })
        assert.deepStrictEqual(settings.listen, { host, port })
        assert.strictEqual(settings.minLevel, level)
        assert.strictEqual(settings.admission, level === "open" ? "open" : "ticket")
        assert.strictEqual(settings.loopback, level === "open")
      })
    )
  }

  it.effect("open beyond loopback is possible when it is asked for by name", () =>
    Effect.gen(function* () {
      const settings = yield* settingsOf({ LISTEN_ADDR: "0.0.0.0:8443", TRAILS_MIN_LEVEL: "open" })
      assert.deepStrictEqual([settings.minLevel, settings.admission, settings.loopback], ["open", "open", false])
    })
  )
})

describe("values", () => {
  for (const [text, ms] of [
    ["1", 1000],
    ["0", 0],
    ["1500ms", 1500],
    ["2s", 2000],
    ["0.25", 250],
    ["5m", 300_000],
    ["1h", 3_600_000]
  ] as const) {
    it.effect(`DISCONNECT_GRACE=${text} → ${ms} ms`, () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* settingsOf({ DISCONNECT_GRACE: text })).disconnectGrace, ms)
      })
    )
  }

  it.effect("DRAIN_DELAY leaves a balancer time where there are replicas to go to", () =>
    Effect.gen(function* () {
      const given = (env: Readonly<Record<string, string>>) =>
        Effect.map(settingsOf({ DATABASE_URL: "postgres://u@h/d", ...env }), ({ drainDelay }) => drainDelay)
      const NATS_URL = "nats://h"
      assert.deepStrictEqual(
        [yield* given({}), yield* given({ NATS_URL }), yield* given({ NATS_URL, DRAIN_DELAY: "0" })],
        [0, 2000, 0]
      )
    })
  )

  it.effect("DEFAULT_START_DEADLINE is seconds, at most 7 days", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* settingsOf({ DEFAULT_START_DEADLINE: "7d" })).defaultStartDeadline, 604_800)
      assert.include((yield* problemsOf({ DEFAULT_START_DEADLINE: "8d" }))[0], "allowed are 0 to 7d")
    })
  )

  for (const [text, bytes] of [
    ["65536", 65_536],
    ["64KiB", 65_536],
    ["2MiB", 2_097_152]
  ] as const) {
    it.effect(`TRAILS_MAX_FRAME=${text} → ${bytes} bytes`, () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* settingsOf({ TRAILS_MAX_FRAME: text })).maxFrame, bytes)
      })
    )
  }

  it.effect("origins are split, trimmed and normalised", () =>
    Effect.gen(function* () {
      const settings = yield* settingsOf({ TRAILS_ALLOWED_ORIGINS: "https://A.example, http://localhost:3000/," })
      assert.deepStrictEqual(settings.allowedOrigins, ["https://a.example", "http://localhost:3000"])
    })
  )

  it("durations are shown as an operator would write them", () => {
    assert.deepStrictEqual([0, 1, 1500, 2000, 300_000, 604_800_000].map(showDuration), [
      "0",
      "1ms",
      "1500ms",
      "2s",
      "5m",
      "7d"
    ])
  })
})

describe("refused at boot, with the remedy", () => {
  const matrix: ReadonlyArray<readonly [string, string, string]> = [
    ["LISTEN_ADDR", "nowhere", "write host:port, e.g. 127.0.0.1:8443"],
    ["LISTEN_ADDR", "127.0.0.1:99999", "write host:port"],
    ["LISTEN_ADDR", "[zz]:1", "write host:port"],
    ["LISTEN_ADDR", "[1:2]:1", "IPv6 is written like"],
    ["DATABASE_URL", "mysql://u:geheim@h/db", "must begin with postgres://"],
    ["DATABASE_URL", "geheim", "write something like postgres://"],
    ["DATABASE_URL", "postgres://u:geheim@h:5432", "names no database"],
    ["NATS_URL", "http://u:geheim@h:4222", "must begin with nats:// or tls://"],
    ["NATS_URL", "geheim", "write something like nats://"],
    ["NATS_URL", "nats://u:geheim@h:4222,", "write something like nats://"],
    ["NATS_URL", "nats://u:geheim@h:4222/x", "must end after the host and port"],
    ["NATS_URL", "nats://:geheim@h", "a password without a user"],
    ["NATS_URL", "nats://u:geheim%@h", "write %25"],
    ["NATS_URL", "nats://u:geheim@h, nats://v:geheim@i", "names different users"],
    ["NATS_URL", "nats:///x", "names no host"],
    ["NATS_CREDS_FILE", "trailsd.creds", "needs NATS_URL"],
    ["NATS_ANY_VERSION", "1", "must be true or false"],
    ["TRAILS_EVENTS_REPLICAS", "6", "a number from 1 to 5"],
    ["TRAILS_EVENTS_MAX_BYTES", "1MiB", "out of range"],
    ["TRAILS_EVENTS_DEDUPE", "8d", "out of range"],
    // Less than a survivor needs to take the publishing over.
    ["TRAILS_EVENTS_DEDUPE", "4s", "out of range"],
    ["TRAILS_MIN_LEVEL", "closed", "must be open or signed"],
    ["TRAILS_MIN_LEVEL", "encrypted", 'use "signed"'],
    ["TRAILS_ADMISSION", "all", "must be open, declared or ticket"],
    ["TRAILS_PUBLIC_URL", "trails.example.org", "https://trails.example.org"],
    ["TRAILS_PUBLIC_URL", "wss://trails.example.org", "must begin with https://"],
    ["TRAILS_PUBLIC_URL", "https://h/path", "must end after the host and port"],
    ["TRAILS_PUBLIC_URL", "https://u:geheim@h", "must not carry a user name"],
    ["TRAILS_ALLOWED_ORIGINS", "*", "list the origins"],
    ["TRAILS_ALLOWED_ORIGINS", "https://a.example/path", "must end after the host and port"],
    ["DISCONNECT_GRACE", "2x", "1500ms, 2s, 5m, 1h"],
    ["DISCONNECT_GRACE", "-1", "is not a duration"],
    ["DISCONNECT_GRACE", "2h", "allowed are 0 to 1h"],
    ["RECONNECT_WINDOW", "0", "allowed are 1s to 1d"],
    ["DRAIN_DELAY", "6m", "allowed are 0 to 5m"],
    ["REPLICA_LEASE", "500ms", "allowed are 1s to 1h"],
    ["TRAILS_MAX_FRAME", "1GB", "1048576, 1MiB"],
    ["TRAILS_MAX_FRAME", "1KiB", "allowed are 65536 to 16777216 bytes"],
    ["TRAILS_LOG", "loud", "must be debug, info, warn or error"],
    ["SERVER_INSTANCE", "a\tb", "printable ASCII"],
    ["TRAILS_TLS_CERT_FILE", "cert.pem", "needs TRAILS_TLS_KEY_FILE"],
    ["TRAILS_TLS_KEY_FILE", "key.pem", "needs TRAILS_TLS_CERT_FILE"]
  ]
  for (const [name, value, remedy] of matrix) {
    it.effect(`${name}=${value.replaceAll("geheim", "…")}`, () =>
      Effect.gen(function* () {
        const problems = yield* problemsOf({ [name]: value })
        assert.lengthOf(problems, 1)
        assert.isTrue(problems[0]?.startsWith(`${name}: `), problems[0])
        assert.include(problems[0], remedy)
        assert.notInclude(problems[0], "geheim")
        assert.notInclude(problems[0], "\n")
      })
    )
  }

  it.effect("two sources of the server's key", () =>
    Effect.gen(function* () {
      const problems = yield* problemsOf({ TRAILS_SERVER_KEY: "geheim", TRAILS_SERVER_KEY_FILE: "k.pem" })
      assert.deepStrictEqual(problems, ["TRAILS_SERVER_KEY: TRAILS_SERVER_KEY_FILE is set too; unset one of them"])
    })
  )

  it.effect("admission open above level open, also where the level is the default", () =>
    Effect.gen(function* () {
      const explicit = yield* problemsOf({ TRAILS_MIN_LEVEL: "signed", TRAILS_ADMISSION: "open" })
      assert.include(explicit[0], 'use "ticket" or "declared"')
      const implied = yield* problemsOf({ LISTEN_ADDR: "0.0.0.0:8443", TRAILS_ADMISSION: "open" })
      assert.include(implied[0], "0.0.0.0, which is not loopback")
    })
  )

  it.effect("all problems at once, one line each", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        loadSettings({
          LISTEN_ADDR: "x",
          TRAILS_LOG: "x",
          TRAILS_TLS_CERT_FILE: "x",
          DISCONNECT_GRACE: "x"
        })
      )
      assert.deepStrictEqual(
        error.message.split("\n").map((line) => line.split(":")[0]),
        ["LISTEN_ADDR", "DISCONNECT_GRACE", "TRAILS_LOG", "TRAILS_TLS_CERT_FILE"]
      )
    })
  )
})

describe("NATS", () => {
  const natsOf = (env: Environment) => Effect.map(settingsOf(env), ({ nats }) => nats)

  it.effect("servers, ports, TLS and the login of the URL", () =>
    Effect.gen(function* () {
      const nats = yield* natsOf({ NATS_URL: "nats://a%40b:p%2Cq@one, tls://two.example:4333,nats://[::1]:1" })
      assert.deepStrictEqual(nats?.servers, [
        { host: "one", port: 4222 },
        { host: "two.example", port: 4333 },
        { host: "::1", port: 1 }
      ])
      assert.isTrue(nats?.tls)
      assert.isFalse(nats?.anyVersion)
      assert.deepStrictEqual(nats?.login === null || nats === null ? null : Redacted.value(nats.login), {
        user: "a@b",
        password: "p,q"
      })
    })
  )

  it.effect("a user without a password is a token; the file of credentials is alone", () =>
    Effect.gen(function* () {
      const token = yield* natsOf({ NATS_URL: "nats://geheim@h", NATS_ANY_VERSION: "true" })
      assert.deepStrictEqual(token?.login == null ? null : Redacted.value(token.login), { token: "geheim" })
      assert.isTrue(token?.anyVersion)
      const creds = yield* natsOf({ NATS_URL: "nats://h", NATS_CREDS_FILE: "x.creds" })
      assert.strictEqual(creds?.credsFile, "x.creds")
      assert.isNull(creds?.login)
      assert.deepStrictEqual(yield* problemsOf({ NATS_URL: "nats://geheim@h", NATS_CREDS_FILE: "x" }), [
        "NATS_CREDS_FILE: NATS_URL names a user too; leave one of them out"
      ])
    })
  )

  it.effect("without a database of its own it is a warning: replicas would share nothing", () =>
    Effect.gen(function* () {
      const { warnings } = yield* loadSettings({ NATS_URL: "nats://h" })
      assert.lengthOf(warnings, 1)
      assert.include(warnings[0], "set DATABASE_URL")
      const both = yield* loadSettings({ NATS_URL: "nats://h", DATABASE_URL: "postgres://h/d" })
      assert.deepStrictEqual(both.warnings, [])
    })
  )
})

describe("secrets and typing errors", () => {
  it.effect("secrets print as redacted wherever the settings are printed", () =>
    Effect.gen(function* () {
      const settings = yield* settingsOf({
        DATABASE_URL: "postgres://u:geheim@h/db",
        NATS_URL: "nats://u:geheim@h",
        TRAILS_SERVER_KEY: "geheim"
      })
      assert.notInclude(`${JSON.stringify(settings)} ${inspect(settings)}`, "geheim")
      assert.strictEqual(Redacted.value(settings.databaseUrl ?? Redacted.make("")), "postgres://u:geheim@h/db")
    })
  )

  it.effect("an unknown TRAILS_ variable is a warning with the nearest name; the client's own are none", () =>
    Effect.gen(function* () {
      const { warnings } = yield* loadSettings({
        TRAILS_PING_INTERVL: "3",
        TRAILS_INFO: "x",
        TRAILS_SERVER: "x",
        TRAILS_ZZZZZZZZZZZZ: "1",
        PATH: "/bin"
      })
      assert.deepStrictEqual(warnings, [
        "TRAILS_PING_INTERVL is not a setting and is ignored; did you mean TRAILS_PING_INTERVAL?",
        "TRAILS_ZZZZZZZZZZZZ is not a setting and is ignored"
      ])
    })
  )

  it("the nearest name counts swaps, and is none when nothing is near", () => {
    assert.strictEqual(nearestName("staus", ["status", "name"]), "status")
    assert.strictEqual(nearestName("sttaus", ["status", "name"]), "status")
    assert.isNull(nearestName("colour", ["status", "name"]))
    assert.isNull(nearestName("x".repeat(10_000), ["status"]))
  })
})

describe("README", () => {
  it("holds the table of settings as `node test/settings/readmeTable.ts` prints it", () => {
    const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8")
    for (const line of readmeTable().split("\n")) assert.include(readme, line, "run: node test/settings/readmeTable.ts")
  })
})
