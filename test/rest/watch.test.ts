import { randomUUID } from "node:crypto"
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { waitUntil } from "../harness/waitUntil.ts"
import { SseClient, type WatchClient, WatchRefused, WatchSocketClient } from "../harness/WatchClient.ts"
import { LogWriter } from "./LogWriter.ts"
import { WATCH_LIMITS } from "./Forest.ts"
import { OTHER, RestFixture, signingKey } from "./RestFixture.ts"

let rest: RestFixture
beforeEach(async () => {
  rest = await RestFixture.start()
})
afterEach(() => rest.stop())
const restart = async (env: Readonly<Record<string, string>>) => {
  await rest.stop()
  rest = await RestFixture.start(env)
}

const born = (parent: LogWriter | null = null) => LogWriter.born(rest.backstage.forest.store, parent)
const gauge = async (name: string): Promise<number> =>
  Number(new RegExp(`^${name}(?:\\{.*\\})? (\\d+)`, "m").exec((await rest.send("GET", "/metrics")).text)?.[1])
const upTo = (n: number) => Array.from({ length: n }, (_, index) => index + 1)
const numbers = (client: WatchClient, { appId }: LogWriter) =>
  client.events.filter(({ event }) => event.data.app_id === appId).map(({ event }) => event.data.n)
const beats = async (client: WatchClient, more = 2) => {
  const before = client.beats
  await waitUntil("it is told where it is", () => client.beats >= before + more)
}

const clients = { "Server-Sent Events": SseClient, "a WebSocket": WatchSocketClient } as const
const forms = Object.keys(clients) as ReadonlyArray<keyof typeof clients>

describe.each(forms)("GET watch as %s", (form) => {
  const opened: Array<WatchClient> = []
  afterEach(() => {
    for (const client of opened.splice(0)) client.cut()
  })
  const watch = async (query: string, headers: Readonly<Record<string, string>> = {}): Promise<WatchClient> => {
    const client = await clients[form].open(`http://${rest.authority}/api/v1/watch${query}`, headers)
    opened.push(client)
    return client
  }
  const refusal = async (query: string, headers: Readonly<Record<string, string>> = {}): Promise<WatchRefused> => {
    const error: unknown = await watch(query, headers).then(
      () => null,
      (problem: unknown) => problem
    )
    assert.instanceOf(error, WatchRefused)
    return error
  }
  const expectRefusal = async (
    [status, code, words]: readonly [number, string, string],
    query: string,
    headers: Readonly<Record<string, string>> = {}
  ) => {
    const error = await refusal(query, headers)
    const body = JSON.parse(error.text) as { readonly code: string; readonly detail: string }
    assert.deepStrictEqual([error.status, body.code], [status, code], error.text)
    assert.strictEqual(error.headers["content-type"], "application/problem+json")
    assert.include(body.detail, words)
    return error
  }

  it("history over many pages and then live: each event once, in order", async () => {
    const top = await born()
    const child = await born(top)
    await child.report(700)
    await top.report(300)
    const client = await watch(`?app=${top.appId}&from=0`)
    for (let i = 0; i < 40; i++) {
      await child.report(10)
      await top.report()
    }
    await waitUntil("all", () => client.events.length === 1442)
    await beats(client)
    assert.deepStrictEqual(numbers(client, top), upTo(341))
    assert.deepStrictEqual(numbers(client, child), upTo(1101))
    assert.strictEqual(new Set(client.events.map(({ event }) => event.id)).size, 1442)
  })

  it("its events are those of GET events, and so are its cursors", async () => {
    const top = await born()
    await top.report(3)
    const client = await watch(`?app=${top.appId}&from=0`)
    await waitUntil("all", () => client.events.length === 4)
    const { body } = await rest.send("GET", `/api/v1/events?app=${top.appId}&after=0`)
    assert.deepEqual(
      client.events.map(({ event }) => event),
      body.items
    )
    assert.strictEqual(client.cursor, body.next)
    const { body: rest2 } = await rest.send("GET", `/api/v1/events?app=${top.appId}&after=${client.events[1]!.cursor}`)
    assert.deepEqual(rest2.items, body.items.slice(2))
  })

  it("whoever comes again behind any event gets what follows it", async () => {
    const top = await born()
    const child = await born(top)
    for (let i = 0; i < 3; i++) {
      await child.report()
      await top.report()
    }
    const whole = await watch(`?app=${top.appId}&from=0`)
    await waitUntil("all", () => whole.events.length === 8)
    for (const [index, { cursor }] of whole.events.slice(0, -1).entries()) {
      const again = await watch(`?app=${top.appId}&from=${cursor}`)
      await waitUntil("the rest", () => again.events.length === 7 - index)
      assert.deepEqual(again.events, whole.events.slice(index + 1))
      again.cut()
      await waitUntil("it is forgotten", async () => (await gauge("trails_watchers")) === 1)
    }
  })

  it.each(["", "&from=now"])("without a cursor it begins with what comes (%s)", async (from) => {
    const top = await born()
    await top.report(5)
    const client = await watch(`?app=${top.appId}${from}`)
    await waitUntil("the cursor", () => client.cursor !== null)
    const { cursor } = client
    await top.report()
    await waitUntil("the news", () => client.events.length === 1)
    assert.deepStrictEqual(numbers(client, top), [7])
    const again = await watch(`?app=${top.appId}&from=${cursor}`)
    await waitUntil("the same", () => again.events.length === 1)
  })

  it("scope says how far below; the node's own rows are there, others' are not", async () => {
    const [top, stranger] = [await born(), await born()]
    const child = await born(top)
    const leaf = await born(child)
    const [near, far, all] = [
      await watch(`?app=${top.appId}&scope=children&from=0`),
      await watch(`?app=${top.appId}&scope=subtree&from=0`),
      await watch("?from=0")
    ]
    for (const node of [top, child, leaf, stranger]) await node.report()
    await waitUntil("all of them", () => all.events.length === 8)
    await waitUntil("the subtree's", () => far.events.length === 6)
    await waitUntil("the children's", () => near.events.length === 4)
    await beats(near)
    assert.deepStrictEqual(numbers(near, leaf), [])
    assert.deepStrictEqual(numbers(far, stranger), [])
    assert.deepStrictEqual(numbers(near, top), upTo(2))
  })

  it("kinds that are not wanted do not come, and its cursor passes them: they are not read again", async () => {
    const top = await born()
    const child = await born(top)
    const client = await watch(`?app=${top.appId}&kind=crash,error&from=0`)
    await child.report(600)
    await child.note("crash")
    await top.report(10)
    await waitUntil("the crash", () => client.events.length === 1)
    const { body } = await rest.send("GET", `/api/v1/events?app=${top.appId}`)
    await waitUntil("its cursor is the log's end", () => client.cursor === body.next)
    assert.deepStrictEqual(
      client.events.map(({ event }) => event.data.kind),
      ["crash"]
    )
    await child.note("crash")
    await waitUntil("the next crash", () => client.events.length === 2)
  })

  it.each(["?from=0", "?app=TOP&from=0"])("hints that are lost only cost time (%s)", async (query) => {
    const top = await born()
    const child = await born(top)
    rest.backstage.forest.isDeaf = true
    const client = await watch(query.replace("TOP", top.appId))
    await waitUntil("history", () => client.events.length === 2)
    await beats(client)
    for (let i = 0; i < 5; i++) {
      await child.report()
      await waitUntil("its event", () => numbers(client, child).length === i + 2)
      await top.report()
      await waitUntil("the node's own", () => numbers(client, top).length === i + 2)
    }
    assert.strictEqual(client.events.length, 12)
  })

  it.each(["?from=0", "?app=TOP&from=0"])("a hint is enough, also of the node's own rows (%s)", async (query) => {
    const { forest } = rest.backstage
    const top = await born()
    const child = await born(top)
    const client = await watch(query.replace("TOP", top.appId))
    await waitUntil("history", () => client.events.length === 2)
    await beats(client)
    if (query.includes("TOP")) forest.isVague = true
    else forest.isBlind = true
    for (let i = 0; i < 5; i++) {
      await child.report()
      await waitUntil("its event", () => numbers(client, child).length === i + 2)
      await top.report()
      await waitUntil("the node's own", () => numbers(client, top).length === i + 2)
    }
  })

  it("what is no event wakes it once, and what happens elsewhere not at all", async () => {
    const { forest } = rest.backstage
    const [top, stranger] = [await born(), await born()]
    const client = await watch(`?app=${top.appId}&from=0`)
    await waitUntil("history", () => client.events.length === 1)
    await beats(client)
    forest.isDeaf = true
    await top.note("refused")
    const all = await watch("?from=now")
    const { pages } = forest
    for (let i = 0; i < 8; i++) {
      await stranger.report()
      // Found by a sweep, which has woken whom it concerns.
      await waitUntil("the other's event", () => all.events.length === i + 1)
    }
    await beats(client)
    assert.isAtMost(forest.pages - pages, 2)
  })

  it("who does not read holds up nobody and loses nothing, and little waits for him", async () => {
    const top = await born()
    const slow = await watch(`?app=${top.appId}&from=0`)
    const quick = await watch(`?app=${top.appId}&from=0`)
    await waitUntil("both", () => slow.events.length === 1 && quick.events.length === 1)
    slow.freeze()
    for (let i = 0; i < 20; i++) await top.report(20, JSON.stringify("x".repeat(50_000)))
    await waitUntil("the slow one starves", async () => (await gauge("trails_subscriptions_starved")) === 1)
    await waitUntil("the quick one has all", () => quick.events.length === 401)
    assert.isBelow(slow.events.length, 300)
    slow.thaw()
    await waitUntil("the slow one has all", () => slow.events.length === 401)
    assert.deepStrictEqual(numbers(slow, top), upTo(401))
  })

  it("what is wrong in the query is said, and nothing begins", async () => {
    const top = await born()
    const bad = (words: string, query: string, headers: Readonly<Record<string, string>> = {}) =>
      expectRefusal([400, "bad_parameter", words], query, headers)
    await bad("app must be a UUID", "?app=x")
    await bad("scope must be children or subtree", `?app=${top.appId}&scope=all`)
    await bad("scope goes with app", "?scope=children")
    await bad("kind must be one or more of", "?kind=crash,nonsense")
    await bad("from must be a cursor", "?from=x")
    await bad("from is no cursor of this server's log: begin anew", "?from=99999")
    await bad("Last-Event-ID must be a cursor", "?from=0", { "last-event-id": "then" })
    await bad("may be given once", "?from=0&from=1")
    await expectRefusal([400, "unknown_parameter", "did you mean from?"], "?form=0")
    await expectRefusal([404, "not_found", "no node"], `?app=${OTHER}`)
    assert.strictEqual(await gauge("trails_watchers"), 0)
  })

  it("another node's cursor is refused: behind it this one's rows would be passed over", async () => {
    const [busy, quiet] = [await born(), await born()]
    await busy.report(4)
    const seen = await watch(`?app=${busy.appId}&from=0`)
    await waitUntil("all of the busy one's", () => seen.events.length === 5)
    const cursor = seen.events.at(-1)!.cursor
    const refused = () =>
      expectRefusal([400, "bad_parameter", "from is no cursor of this app"], `?app=${quiet.appId}&from=${cursor}`)
    await refused()
    // Whether or not it has come that far since.
    await quiet.report(9)
    await refused()
    const [id] = cursor.split("-")
    const followed = await watch(`?app=${quiet.appId}&from=${id}`)
    await waitUntil("what the quiet one has said since", () => followed.events.length === 9)
    await busy.report()
    const resumed = await watch(`?app=${busy.appId}&from=${cursor}`)
    await waitUntil("what the busy one has said since", () => resumed.events.length === 1)
  })

  it("more than the process takes are refused as retryable, until one leaves", async () => {
    const { watchers } = WATCH_LIMITS
    const all: Array<WatchClient> = []
    while (all.length < watchers) all.push(await watch(""))
    assert.strictEqual(await gauge("trails_watchers"), watchers)
    const error = await expectRefusal([503, "overloaded", "another replica"], "")
    assert.strictEqual(error.headers["retry-after"], "1")
    all[0]!.cut()
    await waitUntil("its place is free", async () => (await gauge("trails_watchers")) === watchers - 1)
    const next = await watch("?from=0")
    await waitUntil("it is let in", () => next.cursor !== null)
    for (const client of all) client.cut()
    next.cut()
    await waitUntil("all are forgotten", async () => (await gauge("trails_watchers")) === 0)
    assert.strictEqual(await gauge("trails_subscriptions"), 0)
  })

  it("strangers get nothing, the administrator's signature is good, also for one whose request is from elsewhere", async () => {
    await restart({ TRAILS_MIN_LEVEL: "signed" })
    const top = await born()
    await expectRefusal([401, "signature_missing", "Sign the request"], "?from=0")
    await expectRefusal([401, "key_unknown", "keyid"], "?from=0", {
      ...rest.signed("GET", "/api/v1/watch?from=0", { key: signingKey() })
    })
    await expectRefusal([401, "signature_invalid", "does not fit"], "?from=0", {
      ...rest.signed("GET", "/api/v1/watch?from=now")
    })
    const client = await watch("?from=0", rest.signed("GET", "/api/v1/watch?from=0"))
    await waitUntil("history", () => client.events.length === 1)
    assert.deepStrictEqual(numbers(client, top), [1])
  })

  it("a node watches itself and what is below it, and is not told of others", async () => {
    const top = await born()
    const child = await born(top)
    const stranger = await born()
    const key = signingKey()
    rest.backstage.keys.set(key.publicKey, [top.appId])
    for (const { row } of [top, child, stranger]) rest.backstage.paths.set(row.appId, row.path)
    const signed = (query: string) => rest.signed("GET", `/api/v1/watch${query}`, { key })
    for (const [node, events] of [
      [top, 2],
      [child, 1]
    ] as const) {
      const query = `?app=${node.appId}&from=0`
      const client = await watch(query, signed(query))
      await waitUntil("history", () => client.events.length === events)
    }
    for (const appId of [stranger.appId, randomUUID()]) {
      const query = `?app=${appId}&from=0`
      await expectRefusal([403, "not_an_ancestor", "none of them"], query, signed(query))
    }
    await expectRefusal([400, "bad_parameter", "app must name one"], "?from=0", signed("?from=0"))
  })

  it("pages of others and names of others are refused", async () => {
    await expectRefusal([403, "origin_refused", "TRAILS_ALLOWED_ORIGINS"], "", { origin: "https://elsewhere.example" })
    await expectRefusal([421, "misdirected", "loopback names only"], "", { host: "elsewhere.example" })
  })

  it("a server that stops ends it politely, with the place to go on, and lets nobody in", async () => {
    const top = await born()
    const client = await watch(`?app=${top.appId}&kind=crash&from=0`)
    await top.report(3)
    const { body } = await rest.send("GET", `/api/v1/events?app=${top.appId}`)
    await waitUntil("it has seen all", () => client.cursor === body.next)
    await Effect.runPromise(rest.backstage.forest.watchers.close)
    await waitUntil("its end", () => client.isEnded)
    assert.strictEqual(client.words.at(-1), "going away")
    assert.strictEqual(client.cursor, body.next)
    await expectRefusal([503, "going_away", "from the last cursor"], "")
    assert.strictEqual(await gauge("trails_subscriptions"), 0)
  })

  it("a defect ends it, with the place to go on", async () => {
    const top = await born()
    const client = await watch(`?app=${top.appId}&from=0`)
    await waitUntil("history", () => client.events.length === 1)
    rest.backstage.forest.isBroken = true
    await top.report()
    await waitUntil("its end", () => client.isEnded)
    assert.strictEqual(client.words.at(-1), "failed; come again")
    rest.backstage.forest.isBroken = false
    const again = await watch(`?app=${top.appId}&from=${client.cursor}`)
    await waitUntil("the rest", () => again.events.length === 1)
    assert.strictEqual(await gauge("trails_watchers"), 1)
  })
})

describe("GET watch", () => {
  const url = (query: string) => `http://${rest.authority}/api/v1/watch${query}`

  it("Last-Event-ID counts before from: a browser comes again with the URL of the first time", async () => {
    const top = await born()
    await top.report(3)
    const first = await SseClient.open(url("?from=0"))
    await waitUntil("history", () => first.events.length === 4)
    assert.deepInclude(first.headers, { "content-type": "text/event-stream", "cache-control": "no-store" })
    const again = await SseClient.open(url("?from=0"), { "last-event-id": first.events[1]!.cursor })
    await waitUntil("the rest", () => again.events.length === 2)
    assert.deepStrictEqual(numbers(again, top), [3, 4])
  })

  it("HEAD is answered without a stream", async () => {
    const answer = await rest.send("HEAD", "/api/v1/watch")
    assert.deepStrictEqual([answer.status, answer.text], [200, ""])
    assert.strictEqual(answer.headers["content-type"], "text/event-stream")
    assert.strictEqual(await gauge("trails_watchers"), 0)
  })

  it("a WebSocket on which somebody talks is closed", async () => {
    const client = await WatchSocketClient.open(url(""))
    client.socket.send("hello")
    await waitUntil("its end", () => client.isEnded)
    assert.deepStrictEqual([client.code, client.words.at(-1)], [1008, "nothing is read here"])
    assert.strictEqual(await gauge("trails_watchers"), 0)
  })

  it("a WebSocket is told of a stop by 1001", async () => {
    const client = await WatchSocketClient.open(url(""))
    await Effect.runPromise(rest.backstage.forest.watchers.close)
    await waitUntil("its end", () => client.isEnded)
    assert.strictEqual(client.code, 1001)
  })

  it("an upgrade that is none of a WebSocket's takes no place", async () => {
    const headers = { connection: "upgrade", upgrade: "websocket", "sec-websocket-version": "13" }
    assert.strictEqual((await rest.send("GET", "/api/v1/watch", { headers })).status, 400)
    assert.strictEqual(await gauge("trails_watchers"), 0)
  })
})
