import { randomUUID } from "node:crypto"
import { Effect, Layer } from "effect"
import { nodeAddress, nodeAddresses, parseNodeAddress } from "../protocol/Subjects.ts"
import { splitTicket, ticketHash, verifyTicket } from "../protocol/Ticket.ts"
import { Settings } from "../Settings.ts"
import { AuditLog } from "../storage/AuditLog.ts"
import { CommandStore } from "../storage/CommandStore.ts"
import { NodeStore } from "../storage/NodeStore.ts"
import type { Hint } from "../supervision/HintTarget.ts"
import { ReplicaLease } from "../supervision/ReplicaLease.ts"
import { Telemetry } from "../Telemetry.ts"
import { ActorSystem } from "./ActorSystem.ts"
import { Bus } from "./Bus.ts"
import { nodeEd25519, sha256 } from "./Ed25519.ts"
import { defaultActorOptions, type LocalActorSystemOptions, makeLocalActorSystem } from "./LocalActorSystem.ts"
import type { NodeMessage } from "./NodeMessage.ts"
import { openCommands } from "./OpenCommands.ts"
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

const HINTS: Readonly<Record<Hint, NodeMessage>> = { moved: { _tag: "Moved" }, commanded: { _tag: "Commanded" } }

/** This replica's actors on its bus: local mailboxes, and `_trails.replica.<boot>.node.*` for hints from others. */
export const layer = (options: LocalActorSystemOptions = defaultActorOptions) =>
  Layer.effect(
    ActorSystem,
    Effect.gen(function* () {
      const settings = yield* Settings
      const store = yield* NodeStore
      const storage = yield* StorageActor
      const audit = yield* AuditLog
      const telemetry = yield* Telemetry
      const bus = yield* Bus
      const { boot } = yield* ReplicaLease
      const serverKey = (yield* ServerKey).publicKey

      const commands = yield* CommandStore
      const hintBy =
        (tell: ActorSystem["Service"]["tell"]): ActorSystem["Service"]["hint"] =>
        (appId, owner, what) => {
          if (owner === null || owner === boot) tell(appId, HINTS[what])
          else bus.publish(nodeAddress(owner, appId), what)
        }

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
          commanded: (appId) => void tell(appId, HINTS.commanded),
          moved: (appId, owner) => hintBy(tell)(appId, owner, "moved")
        }),
        options
      )

      yield* bus.subscribe(nodeAddresses(boot), (subject, body) => {
        const address = parseNodeAddress(subject)
        if (address !== null && Object.hasOwn(HINTS, body)) system.tell(address.appId, HINTS[body as Hint])
      })
      return { ...system, hint: hintBy(system.tell) }
    })
  )
