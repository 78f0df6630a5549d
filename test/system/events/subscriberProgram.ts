/** A subscriber as anybody writes one: each event as a line of JSON. By environment: NATS, NAME, SUBTREE, SERVER_KEY. */
import { connect } from "@nats-io/transport-node"
import { registeredFromStream, subscribe, Verifier } from "../../../src/events/index.ts"

const { NAME = "", NATS = "", SERVER_KEY = "", SUBTREE = "" } = process.env
const connection = await connect({
  servers: NATS,
  maxReconnectAttempts: -1,
  reconnectTimeWait: 100,
  waitOnFirstConnect: true
})
const verifier = new Verifier({ serverKey: SERVER_KEY, registered: registeredFromStream(connection) })
const events = subscribe(connection, {
  name: NAME,
  subtree: SUBTREE.split(","),
  verifier,
  // Soon, since what a killed one had fetched comes again only then.
  ackWaitMs: 3000,
  onTrouble: (error) => process.stderr.write(`${error.message}\n`),
  onBad: (bad) => process.stderr.write(`bad: ${bad.reason} on ${bad.subject}\n`)
})
for await (const { data, id, kind, redelivered, sequence, verdict } of events) {
  const framed = data.frame !== undefined
  const line = { id, appId: data.app_id, n: data.n, kind, framed, redelivered, sequence, verdict }
  await new Promise((resolve) => process.stdout.write(`${JSON.stringify(line)}\n`, resolve))
}
