import { connect } from "@nats-io/transport-node"
import { subscribe } from "../../src/events/index.ts"
import type { Postgres } from "../../test/harness/Postgres.ts"
import { type Latency, latencyOf } from "./Latency.ts"
import { Reporter } from "./Reporter.ts"
import { startSite } from "./startSite.ts"

export interface SubscriberOptions {
  readonly replicas: number
  readonly rounds: number
  /** Reports, one after the other, each round. */
  readonly waits: number
}

/**
 * From the ack of a Status, which the server sends when it has committed it, to the event at a subscriber with a durable
 * consumer. Ack and event arrive in one process; where the event is first, the time is negative.
 */
export const subscriber = async (postgres: Postgres, options: SubscriberOptions): Promise<Latency> => {
  const { cluster } = await startSite(postgres, options.replicas, "events")
  const connection = await connect({ servers: cluster.nats.map(({ url }) => url) })
  try {
    using reporter = await Reporter.at(cluster.replicas[0]!)
    const arrived = new Map<number, (at: number) => void>()
    const events = subscribe(connection, { name: "bench", kinds: ["status"] })
    const reading = (async () => {
      for await (const { payload } of events) {
        const { number } = payload as { readonly number: number }
        arrived.get(number)?.(performance.now())
        if (number < 0) return
      }
    })()
    const told = async (number: number): Promise<number> => {
      const event = new Promise<number>((resolve) => arrived.set(number, resolve))
      const ackedAt = await reporter.report(number)
      return (await event) - ackedAt
    }
    let number = 0
    // The stream and the consumer have to be there.
    await told(number++)
    const rounds: Array<ReadonlyArray<number>> = []
    for (let round = 0; round < options.rounds; round++) {
      const taken: Array<number> = []
      for (let i = 0; i < options.waits; i++) taken.push(await told(number++))
      rounds.push(taken)
    }
    await Promise.all([told(-1), reading])
    return latencyOf(rounds)
  } finally {
    await connection.close()
    await cluster.dispose()
  }
}
