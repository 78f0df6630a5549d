import { randomBytes, randomUUID } from "node:crypto"
import { Clock, Effect, Layer } from "effect"
import { REPLICA_NONCE_BYTES, type ReplicaMessage } from "../protocol/ReplicaMessage.ts"
import { LEASE_SUBJECT, LOG_SUBJECT, replicaAddresses } from "../protocol/Subjects.ts"
import { splitTicket, ticketHash, verifyTicket } from "../protocol/Ticket.ts"
import { Settings } from "../Settings.ts"
import { AuditLog } from "../storage/AuditLog.ts"
import { CommandStore } from "../storage/CommandStore.ts"
import { CommitHints } from "../storage/CommitHints.ts"
import { NodeStore } from "../storage/NodeStore.ts"
import { ReplicaStore } from "../storage/ReplicaStore.ts"
import type { Hint } from "../supervision/HintTarget.ts"
import { monotonicClock } from "../supervision/MonotonicClock.ts"
import { Rarely } from "../supervision/Rarely.ts"
import { ReplicaLease } from "../supervision/ReplicaLease.ts"
import { type ReplicaRefusal, Telemetry } from "../Telemetry.ts"
import { ActorSystem } from "./ActorSystem.ts"
import { Bus } from "./Bus.ts"
import { importPublicKey, nodeEd25519, sha256 } from "./Ed25519.ts"
import { makeLeaseInquiry } from "./LeaseInquiry.ts"
import { defaultActorOptions, type LocalActorSystemOptions, makeLocalActorSystem } from "./LocalActorSystem.ts"
import type { NodeMessage } from "./NodeMessage.ts"
import { openCommands } from "./OpenCommands.ts"
import { ReplicaInbox } from "./ReplicaInbox.ts"
import { makeReplicaOutbox, type ReplicaOutbox } from "./ReplicaOutbox.ts"
import { ServerKey } from "./ServerKey.ts"
import { StorageActor } from "./StorageActor.ts"

/** One `impostor` event per node and this long, milliseconds; and how many nodes are remembered for it. */
const IMPOSTOR_EVERY_MS = 10_000
const IMPOSTORS_REMEMBERED = 10_000

const impostorGate = () => {
  const last = new Map<string, number>()
  return (appId: string, now: number): boolean => {
    if (now - (last.get(appId) ?? Number.NEGATIVE_INFINITY) < IMPOSTOR_EVERY_MS) return false
    last.delete(appId)
    last.set(appId, now)
    if (last.size > IMPOSTORS_REMEMBERED) last.delete(last.keys().next().value!)
    return true
  }
}

const messageOf = (what: Hint, epoch: number | null): NodeMessage =>
  what === "moved" ? { _tag: "Moved" } : { _tag: "Commanded", ...(epoch === null ? {} : { epoch }) }

/** Between two log lines about one reason of refusals. */
const SAY_AGAIN_MS = 60_000

/** What an operator has to do something about: without it replicas go on, deaf to each other. */
const REMEDIES: Partial<Record<ReplicaRefusal, string>> = {
  bad_signature:
    "a message between replicas is not signed with this server's key, and is not heard: give all replicas the same " +
    "TRAILS_SERVER_KEY_FILE, or nodes of one can't go on at another; where they have it already, see who else may publish " +
    "below _trails. (deploy/nats.conf)",
  stale:
    "a message between replicas is more than 30 s from this machine's clock, and is not heard: keep the clocks of all " +
    "replicas on NTP"
}

/** Signed messages to the other replicas, and from them; null without a bus that reaches any. */
const otherReplicas = Effect.fnUntraced(function* (lease: ReplicaLease["Service"]) {
  const { boot } = lease
  const bus = yield* Bus
  if (bus.kind === "local") return null
  const { publicKey, secret } = yield* ServerKey
  const hints = yield* CommitHints
  const telemetry = yield* Telemetry
  const clock = yield* Clock.Clock
  const monotonic = yield* monotonicClock
  const serverKey = importPublicKey(publicKey)
  if (serverKey === null) return yield* Effect.die(new Error(`${publicKey} is no usable public key`))
  const wallClock = () => clock.currentTimeMillisUnsafe()
  const outbox = makeReplicaOutbox({
    boot,
    secret,
    publish: bus.publish,
    wallClock,
    newNonce: () => randomBytes(REPLICA_NONCE_BYTES).toString("base64"),
    sent: (kind) => telemetry.replicaMessagesSent.add(kind),
    dropped: () => telemetry.replicaHintsDropped.add()
  })
  const rarely = new Rarely(monotonic, SAY_AGAIN_MS)
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  const refused = (reason: ReplicaRefusal): void => {
    telemetry.replicaMessagesRefused.add(reason)
    const remedy = REMEDIES[reason]
    if (remedy !== undefined && rarely.may(reason)) fork(Effect.logWarning(remedy))
  }
  const inbox = new ReplicaInbox({
    boot,
    serverKey,
    wallClock,
    monotonic,
    awaitsLog: hints.awaitsForeign,
    accepted: (kind) => telemetry.replicaMessagesAccepted.add(kind),
    refused
  })
  const inquiry = yield* makeLeaseInquiry({ lease, outbox, store: yield* ReplicaStore })
  yield* Effect.acquireRelease(
    Effect.sync(() => hints.listen({ onCommit: outbox.committed, onUnnamed: outbox.committed })),
    (unlisten) => Effect.sync(unlisten)
  )
  return {
    outbox,
    children: [...outbox.children, ...inquiry.children],
    /** What is heard is told until the scope closes. */
    hear: Effect.fnUntraced(function* (tell: ActorSystem["Service"]["tell"]) {
      const heed = ({ content, from }: ReplicaMessage): void => {
        switch (content.kind) {
          case "log":
            return hints.tellForeign()
          case "cut_off":
            return inquiry.asked(from)
          case "reaped":
            return void fork(lease.heedReaped(from))
          case "moved":
          case "commanded":
            for (const { appId, epoch } of content.nodes) tell(appId, messageOf(content.kind, epoch))
        }
      }
      for (const pattern of [replicaAddresses(boot), LOG_SUBJECT, LEASE_SUBJECT]) {
        yield* bus.subscribe(pattern, (subject, body) => {
          const message = inbox.open(subject, body)
          if (message !== null) heed(message)
        })
      }
    })
  }
})

/** Hints go to local mailboxes, or to the owner's replica. */
const hintBy =
  (
    tell: ActorSystem["Service"]["tell"],
    boot: string,
    outbox: ReplicaOutbox | undefined
  ): ActorSystem["Service"]["hint"] =>
  (appId, owner, what, epoch) => {
    if (owner === null || owner === boot) tell(appId, messageOf(what, epoch ?? null))
    else outbox?.hint(owner, what, { appId, epoch: epoch ?? null })
  }

/** This replica's actors, and their way to those of other replicas: hints over the bus (docs/protocol.md §17). */
export const layer = (options: LocalActorSystemOptions = defaultActorOptions) =>
  Layer.effect(
    ActorSystem,
    Effect.gen(function* () {
      const settings = yield* Settings
      const store = yield* NodeStore
      const storage = yield* StorageActor
      const audit = yield* AuditLog
      const telemetry = yield* Telemetry
      const lease = yield* ReplicaLease
      const { boot } = lease
      const serverKey = (yield* ServerKey).publicKey
      const commands = yield* CommandStore
      const others = yield* otherReplicas(lease)

      const system = yield* makeLocalActorSystem(
        (tell) => ({
          boot,
          serverKey,
          settings,
          store,
          storage,
          audit,
          telemetry,
          ticketSignedBy: (envelope, keys) => keys.some((key) => verifyTicket(envelope.json, key, nodeEd25519)),
          ticketHash: (envelope) => (splitTicket(envelope.json) === null ? null : ticketHash(envelope.json, sha256)),
          mayReportImpostor: impostorGate(),
          newId: () => randomUUID(),
          commands,
          openCommands: openCommands(commands),
          commanded: (appId) => void tell(appId, messageOf("commanded", null)),
          moved: (appId, owner) => hintBy(tell, boot, others?.outbox)(appId, owner, "moved")
        }),
        options
      )

      yield* others?.hear(system.tell) ?? Effect.void
      return {
        ...system,
        children: [...system.children, ...(others?.children ?? [])],
        hint: hintBy(system.tell, boot, others?.outbox)
      }
    })
  )
