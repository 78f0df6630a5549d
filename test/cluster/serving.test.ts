import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { makeKeypair } from "../harness/Keypair.ts"
import { LogChecker } from "../harness/LogChecker.ts"
import { metric, readMetrics } from "../harness/Metrics.ts"
import { type Answer, post, rest } from "../harness/Rest.ts"
import { signedCall } from "../harness/SignedRest.ts"
import { queryPostgres, readNodes, readPostgres } from "../harness/StoredState.ts"
import { SseClient, type WatchClient, WatchSocketClient } from "../harness/WatchClient.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { Cluster } from "./Cluster.ts"
import { endingOf } from "./Ending.ts"
import { Holders } from "./Holders.ts"
import { type Order, orderOf } from "./Order.ts"
import type { Replica } from "./Replica.ts"
import { type Place, Trees } from "./Trees.ts"
import { TreesLog } from "./TreesLog.ts"

/** 5 × (1 + 3 + 12 + 84): 500 nodes. */
const SIZE = { trees: 5, widths: [3, 4, 7] }
const NODES = 500
const TREE = 100
/** A child of a root with all below it: 1 + 4 + 28. */
const BRANCH = 33
const LEAVES = 84
const PATIENT = { withinMs: 60_000 }

type Body = Readonly<Record<string, unknown>>
const bodyOf = ({ body }: Answer): Body => body as Body
const codeOf = (answer: Answer): ReadonlyArray<unknown> => [answer.status, bodyOf(answer)["code"]]
/** So many calls at once: a server that is asked for more than it has connections to its database says so. */
const WIDTH = 48
const forEach = <A, B>(all: ReadonlyArray<A>, call: (one: A, index: number) => Promise<B>): Promise<ReadonlyArray<B>> =>
  Effect.runPromise(Effect.forEach(all, (one, index) => Effect.promise(() => call(one, index)), { concurrency: WIDTH }))
/** For calls that wait for something, or come all at once. */
const patiently = (): RequestInit => ({ signal: AbortSignal.timeout(PATIENT.withinMs) })

describe(`${NODES} nodes in trees of four levels, each asked for at replicas that do not hold it`, () => {
  let cluster: Cluster
  let trees: Trees
  /** Where each node was before anything was asked, and stays. */
  let holders: Holders
  let sessions: ReadonlyArray<Body>
  /** The first tree has ends to be waited for, the second is cancelled, the third in part; the others go on. */
  let waited: Place
  let cancelled: Place
  let pruned: Place
  let staying: Place
  let others: Place
  /** From the beginning, each root at each replica, by Server-Sent Events or over a WebSocket. */
  const live: Array<{ readonly top: Place; readonly client: WatchClient }> = []

  const query = (sql: string) => queryPostgres(cluster.postgres.url, sql)
  const attached = () =>
    query("select app_id, owner, session from node_status where status in ('connected', 'running') order by app_id")
  const countQueued = async () => (await query("select count(*)::int as n from control_queue"))[0]!["n"]
  const signerOf = ({ key }: Place) => ({ key, publicUrl: cluster.http })
  const signedPost = (replica: Replica, by: Place, path: string, body: unknown): Promise<Answer> =>
    rest(replica.http, path, { ...signedCall(signerOf(by), "POST", path, body), ...patiently() })
  const everyRootEverywhere = () =>
    trees.roots.flatMap((top, tree) => cluster.replicas.map((replica, at) => ({ top, replica, turn: tree + at })))
  const watchPath = ({ appId }: Place): string => `watch?app=${appId}&from=0`
  const watched = async (top: Place, { http }: Replica, turn: number, headers = {}) => {
    const form = turn % 2 === 0 ? SseClient : WatchSocketClient
    return { top, client: await form.open(`${http}/api/v1/${watchPath(top)}`, headers) }
  }
  /** Resolves when so many wait at each replica as are asked there. */
  const allWait = async (asked: ReadonlyArray<{ readonly replica: Replica }>): Promise<void> => {
    const expected = cluster.replicas.map((replica) => asked.filter((one) => one.replica === replica).length)
    await waitUntil(
      `${expected.join(", ")} wait`,
      async () => {
        const pages = await Promise.all(cluster.replicas.map(({ trailsd }) => readMetrics(trailsd.http)))
        return pages.every((page, at) => metric(page, "trails_waiters") === expected[at])
      },
      PATIENT
    )
  }

  beforeAll(async () => {
    cluster = await Cluster.start()
    trees = await Trees.grow(cluster, SIZE)
    holders = await Holders.read(cluster)
    sessions = await attached()
    const [first, second, third, fourth, fifth] = trees.roots
    ;[waited, cancelled, pruned, staying, others] = [first!, second!, third!, fourth!, fifth!]
    for (const { replica, top, turn } of everyRootEverywhere()) live.push(await watched(top, replica, turn))
  })
  afterAll(async () => {
    for (const { client } of live) client.cut()
    await trees?.[Symbol.asyncDispose]()
    await cluster?.dispose()
  })

  it("are spread over all replicas, and so are the children of each", async () => {
    expect(trees.all.length).toBe(NODES)
    expect([...holders.byNode.keys()].toSorted()).toEqual(trees.all.map(({ appId }) => appId).toSorted())
    const { replicas } = await cluster.state()
    const held = replicas.map(({ standing }) => standing!.sessions)
    expect(held.reduce((sum, sessions) => sum + sessions, 0)).toBe(NODES)
    expect(Math.min(...held)).toBeGreaterThan(TREE)
    const parents = trees.all.filter(({ children }) => children.length > 0)
    expect(parents.length).toBe(NODES - SIZE.trees * LEAVES)
    expect(parents.map(({ children }) => new Set(children.map((child) => holders.of(child))).size)).toEqual(
      parents.map(() => cluster.replicas.length)
    )
  })

  it("commands to all of them are answered by the node that was meant, and run once, also when two replicas are asked", async () => {
    const orders = trees.all.map(orderOf)
    const give = async ({ action, payload, place }: Order, replica: Replica) => {
      const body = { action, payload, idempotencyKey: place.appId, timeoutMs: PATIENT.withinMs }
      return bodyOf(await post(replica.http, `apps/${place.appId}/control`, body, patiently()))
    }
    // By turns at one and at the other of the two that do not hold it, and each fourth at both.
    const at = orders.map(({ place }, index) => {
      const [one, other] = holders.elsewhere(place)
      return index % 2 === 0 ? ([one!, other!] as const) : ([other!, one!] as const)
    })
    const told = await forEach(orders, (order, index) =>
      Promise.all(at[index]!.slice(0, index % 4 === 0 ? 2 : 1).map((replica) => give(order, replica)))
    )
    const answers = told.map(([first]) => first!)
    expect(answers).toEqual(
      orders.map(({ action, answer, payload, place: { appId } }) =>
        expect.objectContaining({
          app_id: appId,
          action,
          payload,
          issued_by: "anonymous",
          state: "answered",
          deliveries: 1,
          ...answer
        })
      )
    )
    expect(told.map((both) => both.at(-1))).toEqual(answers)
    expect(orders.map(({ place }) => place.squared)).toEqual(orders.map(({ squared }) => squared))
    const ids = answers.map((answer) => String(answer["correlation_id"]))
    const seen = await forEach(orders, ({ place }, index) =>
      rest(at[index]![1].http, `apps/${place.appId}/commands/${ids[index]!}`, patiently())
    )
    expect(seen.map(bodyOf)).toEqual(answers)

    const { commands } = await TreesLog.read(cluster.postgres.url)
    expect(commands.size).toBe(NODES)
    const facts = ids.map((id) => commands.get(id)?.map((row) => [row.appId, row.facts]))
    expect(facts).toEqual(
      orders.map(({ action, outcome, place: { appId } }) => [
        [appId, { action, by: "anonymous", state: "delivered" }],
        [appId, expect.objectContaining({ action, outcome })]
      ])
    )
    const frames = ids.map((id) => commands.get(id)?.map(({ frame }) => JSON.parse(frame!) as Body))
    expect(frames).toEqual(
      orders.map(({ payload, place: { appId } }, index) => [
        expect.objectContaining({ type: "control", app_id: appId, correlation_id: ids[index], payload }),
        expect.objectContaining({ type: "control_result", app_id: appId, correlation_id: ids[index] })
      ])
    )
    // Who asks for a command that is there already is audited by an id of its own.
    const audit = await query("select app_id, actor, action, decision, correlation_id from audit_log")
    expect(audit.length).toBe(NODES + NODES / 4)
    const audited = new Map(audit.map(({ correlation_id: id, ...row }) => [String(id), row]))
    expect(ids.map((id) => audited.get(id))).toEqual(
      orders.map(({ action, place }) => ({
        app_id: place.appId,
        actor: "anonymous",
        action: `control ${action}`,
        decision: "allow"
      }))
    )
  })

  it("a command is hinted at to the replica that holds its node", async () => {
    const heard = async ({ trailsd }: Replica): Promise<number> =>
      metric(await readMetrics(trailsd.http), 'trails_replica_messages_accepted_total{kind="commanded"}')
    for (const place of cancelled.leaves.slice(0, 12)) {
      const before = await heard(holders.of(place))
      const body = { action: "square", payload: { side: 2 }, timeoutMs: 15_000 }
      const answer = bodyOf(await post(holders.elsewhere(place)[0]!.http, `apps/${place.appId}/control`, body))
      expect(answer["result"]).toEqual({ by: place.appId, area: 4 })
      await waitUntil("the hint has come", async () => (await heard(holders.of(place))) > before)
    }
  })

  it("who waits for a tree at any replica is told of what is reported below, and all of it is there at all replicas", async () => {
    const asked = everyRootEverywhere()
    const look = () =>
      Promise.all(asked.map(async ({ replica, top }) => bodyOf(await rest(replica.http, `apps/${top.appId}/tree`))))
    const cursors = (await look()).map(({ cursor }) => String(cursor))
    const later = asked.map(({ replica, top }, index) =>
      rest(replica.http, `apps/${top.appId}/tree?after=${cursors[index]!}&timeout=60`, patiently())
    )
    await allWait(asked)
    for (const place of trees.all) place.node.status({ of: place.appId })
    expect((await Promise.all(later)).map((answer) => bodyOf(answer)["unchanged"])).toEqual(asked.map(() => false))
    await waitUntil("all are acked", () => trees.all.every(({ node }) => node.stats().waiting === 0), PATIENT)
    const shown = (await look()).map(({ items }) => items as ReadonlyArray<Body>)
    expect(shown.map(({ length }) => length)).toEqual(asked.map(() => TREE))
    expect(
      shown.map(
        (items) => new Map(items.map((item) => [item["app_id"], [item["parent_id"], item["status"], item["snapshot"]]]))
      )
    ).toEqual(
      asked.map(
        ({ top }) =>
          new Map(top.all.map(({ appId, parent }) => [appId, [parent?.appId ?? null, "running", { of: appId }]]))
      )
    )
  })

  it("a node commands those below it at whichever replica, and nobody else, whichever replica it asks", async () => {
    const order = { action: "square", payload: { side: -1 }, timeoutMs: PATIENT.withinMs }
    // Each by its parent and by the root.
    const commanded = staying.below.flatMap((place) => [place.parent!, staying].map((by) => ({ by, place })))
    const answers = await forEach(commanded, async ({ by, place }) => {
      const replica = holders.elsewhere(place, by)[0]!
      const answer = await signedPost(replica, by, `apps/${place.appId}/control`, order)
      return [answer.status, bodyOf(answer)["issued_by"], bodyOf(answer)["result"]]
    })
    expect(answers).toEqual(commanded.map(({ by, place }) => [201, `node:${by.appId}`, { by: place.appId, area: 1 }]))

    const before = [await countQueued(), trees.all.map(({ squared }) => [...squared])]
    // Of each its parent, its sibling, and one in another tree.
    const refused = staying.below.flatMap((by, index) => {
      const { children } = by.parent!
      const sibling = children[(children.indexOf(by) + 1) % children.length]!
      return [by.parent!, sibling, others.below[index]!].map((place, turn) => ({ by, place, turn: index + turn }))
    })
    const deeds = [["control", order] as const, ["cancel?cascade=true", {}] as const, ["cancel", {}] as const]
    const denials = await forEach(refused, ({ by, place, turn }) => {
      const [deed, body] = deeds[turn % deeds.length]!
      return signedPost(holders.elsewhere(place, by)[0]!, by, `apps/${place.appId}/${deed}`, body)
    })
    expect(denials.map(codeOf)).toEqual(refused.map(() => [403, "not_an_ancestor"]))
    const { appId } = others
    for (const path of [
      ...["wait?timeout=0", "tree", "log", "commands"].map((name) => `apps/${appId}/${name}`),
      watchPath(others)
    ]) {
      for (const { http } of cluster.replicas) {
        expect(codeOf(await rest(http, path, signedCall(signerOf(staying), "GET", path)))).toEqual([
          403,
          "not_an_ancestor"
        ])
      }
    }
    expect([await countQueued(), trees.all.map(({ squared }) => squared)]).toEqual(before)
    expect(await query("select id from cascades")).toEqual([])
    const audit = await query("select actor, app_id, reason from audit_log where decision = 'deny'")
    expect(audit.map((row) => Object.values(row).join(" ")).toSorted()).toEqual(
      refused.map(({ by, place }) => `node:${by.appId} ${place.appId} not an ancestor`).toSorted()
    )
  })

  it("a recorded command of an ancestor is good for no other replica, and a stranger's key for none", async () => {
    const place = staying.leaves[0]!
    const path = `apps/${place.appId}/control`
    const body = { action: "square", payload: { side: -2 }, timeoutMs: 15_000 }
    const recorded = signedCall(signerOf(staying), "POST", path, body)
    const codes: Array<ReadonlyArray<unknown>> = []
    for (const { http } of cluster.replicas) codes.push(codeOf(await rest(http, path, recorded)))
    const stranger = { key: makeKeypair(), publicUrl: cluster.http }
    for (const { http } of cluster.replicas) {
      codes.push(codeOf(await rest(http, path, signedCall(stranger, "POST", path, body))))
    }
    const unknown = [401, "key_unknown"]
    expect(codes).toEqual([[201, undefined], [401, "nonce_used"], [401, "nonce_used"], unknown, unknown, unknown])
    expect(place.squared.filter((side) => side === -2)).toEqual([-2])
  })

  it("who waits for an end is told of it at both other replicas, and so is the parent; who has not ended is not said to have", async () => {
    const endings = waited.leaves.map(endingOf)
    expect(endings.length).toBe(LEAVES)
    const asked = endings.flatMap((ending) =>
      holders.elsewhere(ending.place).map((replica) => ({ ...ending, replica }))
    )
    expect(asked.length).toBe(2 * LEAVES)
    const waits = asked.map(({ place, replica }) =>
      rest(replica.http, `apps/${place.appId}/wait?timeout=60`, patiently())
    )
    const outcomes = endings.map(({ place }) => place.child!.wait({ timeoutMs: PATIENT.withinMs }))
    await allWait(asked)
    for (const { end } of endings) expect(end()).toEqual({ queued: true })
    expect((await Promise.all(waits)).map(bodyOf)).toEqual(
      asked.map(({ payload, place: { appId }, state }) =>
        expect.objectContaining({
          app_id: appId,
          ended: true,
          status: state,
          snapshot: { of: appId },
          outcome: expect.objectContaining({ state, payload })
        })
      )
    )
    expect(await Promise.all(outcomes)).toEqual(endings.map(({ outcome }) => expect.objectContaining(outcome)))
    const parents = waited.all.filter(({ children }) => children.length > 0)
    const standings = await Promise.all(
      parents.map((place) => rest(holders.elsewhere(place)[0]!.http, `apps/${place.appId}/wait?timeout=1`))
    )
    expect(standings.map(bodyOf)).toEqual(
      parents.map(({ appId }) => expect.objectContaining({ app_id: appId, ended: false, status: "running" }))
    )
  })

  it("cascades reach every node below, wherever it is, no parent before its children, and nobody else", async () => {
    const branch = pruned.children[0]!
    const body = { graceMs: 60_000, reason: "enough" }
    const pathOf = ({ appId }: Place) => `apps/${appId}/cancel?cascade=true`
    const begun = await Promise.all([
      post(holders.elsewhere(cancelled)[0]!.http, pathOf(cancelled), body),
      signedPost(holders.elsewhere(branch, pruned)[0]!, pruned, pathOf(branch), body)
    ])
    const operations = [
      { top: cancelled, levels: 4, total: TREE, by: "anonymous", asked: holders.elsewhere(cancelled)[1]! },
      { top: branch, levels: 3, total: BRANCH, by: `node:${pruned.appId}`, asked: holders.elsewhere(branch)[1]! }
    ].map((operation, index) => ({ ...operation, path: `cascades/${String(bodyOf(begun[index]!)["id"])}` }))
    for (const { asked, by, levels, path, top, total } of operations) {
      const done = bodyOf(await rest(asked.http, `${path}?timeout=60`, patiently()))
      expect(done).toMatchObject({ issued_by: by, state: "done", levels, total, counts: { acked: total } })
      const { items } = bodyOf(await rest(asked.http, `${path}/nodes?limit=500`))
      expect(
        (items as ReadonlyArray<Body>).map((item) => `${String(item["app_id"])} ${String(item["outcome"])}`).toSorted()
      ).toEqual(top.all.map(({ appId }) => `${appId} acked`).toSorted())
      expect(top.all.map(({ cancelledBy }) => cancelledBy)).toEqual(top.all.map(() => [by]))
    }
    const log = await TreesLog.read(cluster.postgres.url)
    const doomed = [...cancelled.all, ...branch.all]
    const cancels = new Map(doomed.map((place) => [place, log.cancelOf(place)]))
    expect([...cancels.values()].map(({ ended, told }) => [told.length, ended.length])).toEqual(
      doomed.map(() => [1, 1])
    )
    const early = doomed.filter(({ children }, index) => {
      const [told] = cancels.get(doomed[index]!)!.told
      return children.some((child) => cancels.get(child)!.ended[0]! > told!)
    })
    expect(early.map(({ appId }) => appId)).toEqual([])
    expect(doomed.length).toBe(TREE + BRANCH)
    const spared = trees.all.filter((place) => !cancels.has(place))
    expect(spared.flatMap(({ cancelledBy }) => cancelledBy)).toEqual([])
  })

  it("watches from cursor 0 give each event once, in the log's order, at every replica and in both forms", async () => {
    const log = await TreesLog.read(cluster.postgres.url)
    const branch = pruned.children[0]!
    const late = await Promise.all([
      ...everyRootEverywhere().map(({ replica, top, turn }) => watched(top, replica, turn + 1)),
      // By an ancestor's key.
      ...holders.elsewhere(pruned).map((replica, turn) => {
        const { headers } = signedCall(signerOf(pruned), "GET", watchPath(branch))
        return watched(branch, replica, turn, headers)
      })
    ])
    for (const { client, top } of [...live, ...late]) {
      const stored = log.events(top)
      await waitUntil("all that is stored", () => client.events.length >= stored.length, PATIENT)
      expect(client.events.map(({ event }) => event.id)).toEqual(stored.map(({ appId, n }) => `${appId}:${n}`))
      expect(client.events.map(({ event: { data } }) => [data.kind, data.path, data.frame ?? null])).toEqual(
        stored.map(({ frame, kind, path }) => [kind, path, frame])
      )
      expect(client.isEnded).toBe(false)
    }
    for (const { client } of late) client.cut()
    expect(new Set(live.flatMap(({ client }) => client.events.map(({ event }) => event.subject))).size).toBe(NODES)
  })

  it(`all ${NODES} are accounted for, and none has moved`, async () => {
    const expected = new Map<string, string>(trees.all.map(({ appId }) => [appId, "running"]))
    for (const { place, state } of waited.leaves.map(endingOf)) expected.set(place.appId, state)
    for (const { appId } of [...cancelled.all, ...pruned.children[0]!.all]) expected.set(appId, "cancelled")
    const nodes = await readNodes(cluster.postgres.url)
    expect(new Map([...nodes].map(([appId, { status }]) => [appId, status]))).toEqual(expected)
    const checker = new LogChecker(new Map())
    checker.add((await readPostgres(cluster.postgres.url)).rows)
    expect(checker.close(nodes).violations).toEqual([])
    expect(await query("select correlation_id from control_queue where answered_at is null")).toEqual([])
    const living = sessions.filter((row) => expected.get(String(row["app_id"])) === "running")
    expect(await attached()).toEqual(living)
  })
})
