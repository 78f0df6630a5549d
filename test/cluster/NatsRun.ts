import { SOUND } from "../harness/LossyBus.ts"
import { metric, readMetrics } from "../harness/Metrics.ts"
import { seeded } from "../harness/Random.ts"
import { queryPostgres } from "../harness/StoredState.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { Cluster } from "./Cluster.ts"
import { CrossTraffic, type Took, trafficKinds } from "./CrossTraffic.ts"

/** What of the traffic between the replicas has to be seen for the trouble to have been there. */
interface Signs {
  /** Messages that were lost, came twice, or overtook another one on a link. */
  readonly lost: number
  readonly doubled: number
  readonly overtook: number
  /** By the replicas: what they have heard, and what of it they had heard before. */
  readonly heard: number
  readonly replayed: number
  /** Replicas with a connection at the end. */
  readonly onNats: number
  /** Connections to nats-servers, of all servers, by their numbers there. */
  readonly connections: string
}

interface Trouble {
  /** For people. */
  readonly what: string
  readonly begin: (cluster: Cluster) => void
  /** What has happened meanwhile shows that it was so. */
  readonly isSeen: (since: Signs, now: Signs, replicas: number) => boolean
}

const onEach =
  (inflict: (replica: Cluster["replicas"][number], cluster: Cluster) => void): Trouble["begin"] =>
  (cluster) => {
    for (const replica of cluster.replicas) inflict(replica, cluster)
  }

const mangled = (faults: Partial<typeof SOUND>): Trouble["begin"] =>
  onEach(({ messages }) => {
    messages.faults = { ...SOUND, ...faults }
  })

/** The clients of NATS have not noticed anything. */
const unnoticed = (since: Signs, now: Signs, replicas: number): boolean =>
  now.onNats === replicas && now.connections === since.connections

/** Issue 6, §1: at each replica at once. */
export const natsTroubles = {
  none: { what: "nothing is wrong", begin: () => {}, isSeen: unnoticed },
  "cut-silent": {
    what: "cut off, and nobody is told",
    begin: onEach(({ name }, cluster) => cluster.cut(name, "nats", "silent")),
    isSeen: (since, now) => now.heard === since.heard
  },
  "cut-reset": {
    what: "cut off, connections break",
    begin: onEach(({ name }, cluster) => cluster.cut(name, "nats", "reset")),
    isSeen: (since, now) => now.heard === since.heard && now.onNats === 0
  },
  slow: {
    what: "700 ms late, either way",
    begin: onEach(({ name }, cluster) => cluster.delay(name, "nats", 700)),
    isSeen: (since, now, replicas) => now.heard > since.heard && unnoticed(since, now, replicas)
  },
  double: {
    what: "10 % of all messages come twice, on each link",
    begin: mangled({ double: 0.1 }),
    isSeen: (since, now, replicas) => now.replayed > since.replayed && unnoticed(since, now, replicas)
  },
  reorder: {
    what: "each message up to 500 ms late, on each link",
    begin: mangled({ delayMs: 500 }),
    isSeen: (since, now, replicas) => now.overtook > since.overtook && unnoticed(since, now, replicas)
  },
  lose: {
    what: "every message is lost, and the servers answer as ever",
    begin: mangled({ lose: 1 }),
    isSeen: (since, now, replicas) =>
      now.lost > since.lost && now.heard === since.heard && unnoticed(since, now, replicas)
  }
} as const satisfies Readonly<Record<string, Trouble>>

export type NatsTrouble = keyof typeof natsTroubles

export const allNatsTroubles = Object.keys(natsTroubles) as ReadonlyArray<NatsTrouble>

export interface NatsRunOptions {
  readonly kinds: ReadonlyArray<NatsTrouble>
  /** So long something begins while the trouble lasts, milliseconds. */
  readonly forMs: number
  /** Commands per second; waits and cascades by their share. */
  readonly rate: number
  /** Everything is to be through so long after it was asked for, while the trouble lasts, milliseconds. */
  readonly withinMs: number
  readonly seed: number
  readonly log: (line: string) => void
}

export interface NatsReport {
  readonly took: ReadonlyMap<NatsTrouble, Took>
  /** What is wrong, each with the trouble in which it was seen. */
  readonly failures: ReadonlyArray<string>
}

const HEALED_MS = 30_000

/** None of these finds a row, whatever becomes of NATS. */
const NEVER: Readonly<Record<string, string>> = {
  "verdicts on living nodes":
    "select app_id, kind, data from node_log where kind in ('crash', 'lost_contact', 'reconnecting')",
  "nodes that had more than one session": "select app_id, epoch from node_status where epoch <> 1",
  "commands that were told more than once": `
    select app_id, correlation_id, count(*) from node_log where kind = 'control' and data->>'state' = 'delivered'
    group by app_id, correlation_id having count(*) > 1`,
  "commands without an answer": "select app_id, correlation_id, action from control_queue where answered_at is null",
  "replicas that lost their lease": "select instance, boot from replicas where reaped_at is not null"
}

const sum = (values: ReadonlyArray<number>): number => values.reduce((all, value) => all + value, 0)

const readSigns = async ({ nats, replicas }: Cluster): Promise<Signs> => {
  const pages = await Promise.all(replicas.map(({ trailsd }) => readMetrics(trailsd.http)))
  const servers = await Promise.all(nats.map((server) => server.monitor("connz")))
  const of = (name: string) => sum(pages.map((page) => metric(page, name)))
  return {
    lost: sum(replicas.map(({ messages }) => messages.lost)),
    doubled: sum(replicas.map(({ messages }) => messages.doubled)),
    overtook: sum(replicas.map(({ messages }) => messages.overtook)),
    heard: of("trails_nats_received_total"),
    replayed: sum(pages.map((page) => page.get('trails_replica_messages_refused_total{reason="replayed"}') ?? 0)),
    onNats: of("trails_nats_connected"),
    connections: JSON.stringify(
      servers.map((server) =>
        (server as { readonly connections: ReadonlyArray<{ readonly cid: number }> }).connections
          .map(({ cid }) => cid)
          .toSorted((a, b) => a - b)
      )
    )
  }
}

/** All are on NATS, and what was under way has arrived. */
const calm = async (cluster: Cluster): Promise<Signs> => {
  let last: string | null = null
  return await waitUntil(
    "all replicas are on NATS, and nothing is under way",
    async () => {
      const signs = await readSigns(cluster)
      const text = JSON.stringify(signs)
      const isCalm = signs.onNats === cluster.replicas.length && text === last
      last = text
      return isCalm ? signs : null
    },
    { withinMs: HEALED_MS, everyMs: 300 }
  )
}

/** What the database says that must not be, whatever becomes of NATS. */
const readWrong = async ({ postgres, replicas }: Cluster): Promise<ReadonlyArray<string>> => {
  const wrong: Array<string> = []
  for (const [what, query] of Object.entries(NEVER)) {
    const rows = await queryPostgres(postgres.url, query)
    if (rows.length > 0) wrong.push(`${rows.length} ${what}, the first: ${JSON.stringify(rows[0])}`)
  }
  return [...wrong, ...replicas.filter(({ state }) => state !== "up").map(({ name }) => `${name} has stepped down`)]
}

/** Median and worst of each kind, and how many. */
export const tookText = (took: Took): string =>
  trafficKinds
    .map((kind) => {
      const sorted = took[kind].toSorted((a, b) => a - b)
      return `${sorted.length} ${kind}s ${sorted[sorted.length >> 1] ?? 0}/${sorted.at(-1) ?? 0} ms`
    })
    .join(", ")

/** The traffic while it lasts, and what was wrong then or once it was over. */
const during = async (
  cluster: Cluster,
  traffic: CrossTraffic,
  { begin, isSeen }: Trouble,
  { forMs, rate, withinMs }: NatsRunOptions
): Promise<{ readonly took: Took; readonly wrong: ReadonlyArray<string> }> => {
  const since = await calm(cluster)
  begin(cluster)
  const took = await traffic.run(forMs, rate)
  const now = await readSigns(cluster)
  cluster.heal()
  const late = trafficKinds.flatMap((kind) =>
    took[kind].filter((ms) => ms > withinMs).map((ms) => `a ${kind} took ${ms} ms, the goal is ${withinMs} ms`)
  )
  const unseen = isSeen(since, now, cluster.replicas.length)
    ? []
    : [`the trouble was not there: ${JSON.stringify({ since, now })}`]
  // What was held up arrives now, and must change nothing any more.
  await calm(cluster)
  return {
    took,
    wrong: [...late, ...unseen, ...traffic.wrong.splice(0), ...traffic.repeated, ...(await readWrong(cluster))]
  }
}

/**
 * Commands, cascades and waits across three replicas while something is wrong with NATS, one kind of trouble after the other.
 * All of it completes while the trouble lasts (the rows are the fact), exactly once, and costs nobody a session or a lease.
 * It ends with the first trouble in which something is wrong: what comes then would begin with its remains.
 */
export const natsRun = async (options: NatsRunOptions): Promise<NatsReport> => {
  const { kinds, seed } = options
  await using cluster = await Cluster.start({ random: seeded(seed).next })
  await using traffic = await CrossTraffic.begin(cluster)
  const failures: Array<string> = []
  const allTook = new Map<NatsTrouble, Took>()
  try {
    for (const kind of kinds) {
      const { took, wrong } = await during(cluster, traffic, natsTroubles[kind], options)
      allTook.set(kind, took)
      failures.push(...wrong.map((text) => `${kind}: ${text}`))
      const failed = wrong.length === 0 ? "" : `; ${wrong.length} failures`
      options.log(`${kind.padEnd(11)} (${natsTroubles[kind].what}): ${tookText(took)}${failed}`)
      if (wrong.length > 0) break
    }
    return { took: allTook, failures }
  } catch (cause) {
    const said = cluster.replicas.map(({ name, trailsd }) => `${name} said:\n${trailsd.output.slice(-2000)}`)
    throw new Error(`the run broke off; ${[...failures, ...traffic.wrong].join("\n")}\n${said.join("\n")}`, { cause })
  }
}
