import {
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
  type StreamInfo
} from "@nats-io/jetstream"
import type { EventStreamSettings } from "../Settings.ts"

/** The one stream of a NATS account's tree events (PROTOCOL §11). */
export const STREAM = "trails"
const SUBJECTS = ["trails.>"]
/** Copies where nobody says how many: as many as outlive the loss of one server. */
const CLUSTERED_REPLICAS = 3

const STREAM_NOT_FOUND = 10059
/** No room for so many copies: no peers, insufficient resources, not clustered. */
const TOO_MANY_REPLICAS = new Set([10005, 10023, 10074])

const nanos = (ms: number): number => ms * 1_000_000

type Owned = Pick<
  StreamConfig,
  "subjects" | "discard" | "max_age" | "max_bytes" | "duplicate_window" | "num_replicas" | "description"
>

/** What trailsd says of the stream; the rest of its configuration is the operator's. */
export const streamConfig = (settings: EventStreamSettings, replicas: number): Owned => ({
  description: "Tree events of TRAILS; made and configured by trailsd",
  subjects: SUBJECTS,
  discard: DiscardPolicy.Old,
  max_age: nanos(settings.maxAge),
  max_bytes: settings.maxBytes,
  duplicate_window: nanos(settings.dedupe),
  num_replicas: replicas
})

/** How many copies to ask for, the most wanted first. Copies that are there already are not given up by default. */
export const replicaWishes = (
  wanted: number | null,
  clustered: boolean,
  present: number
): readonly [number, ...ReadonlyArray<number>] => {
  if (wanted !== null) return [wanted]
  if (!clustered) return [Math.max(1, present)]
  return present >= CLUSTERED_REPLICAS ? [present] : [CLUSTERED_REPLICAS, Math.max(1, present)]
}

/** Whether the stream has to be told something. */
export const differs = (found: StreamConfig, wanted: Owned): boolean =>
  (Object.keys(wanted) as ReadonlyArray<keyof Owned>).some(
    (key) => JSON.stringify(found[key]) !== JSON.stringify(wanted[key])
  )

const isCode = (error: unknown, code: number): boolean => error instanceof JetStreamApiError && error.code === code

const find = async (manager: JetStreamManager): Promise<StreamInfo | null> => {
  try {
    return await manager.streams.info(STREAM)
  } catch (error) {
    if (isCode(error, STREAM_NOT_FOUND)) return null
    throw error
  }
}

/** By the first wish that the servers have room for. */
const byWishes = async <A>(wishes: ReadonlyArray<number>, attempt: (replicas: number) => Promise<A>): Promise<A> => {
  const [first = 1, ...rest] = wishes
  try {
    return await attempt(first)
  } catch (error) {
    const isTooMany = error instanceof JetStreamApiError && TOO_MANY_REPLICAS.has(error.code)
    if (!isTooMany || rest.length === 0) throw error
    return await byWishes(rest, attempt)
  }
}

export interface EnsuredStream {
  readonly lastSequence: number
  /** What the servers said to a configuration that they did not take; the stream goes on with the one that it has. */
  readonly complaint: string | null
}

/** The stream, made or told what has changed. Rejects where there is none and none can be made. */
export const ensureStream = async (
  manager: JetStreamManager,
  settings: EventStreamSettings,
  clustered: boolean
): Promise<EnsuredStream> => {
  const found = await find(manager)
  const wishes = replicaWishes(settings.replicas, clustered, found?.config.num_replicas ?? 0)
  if (found === null) {
    const made = await byWishes(wishes, (replicas) =>
      manager.streams.add({
        ...streamConfig(settings, replicas),
        name: STREAM,
        retention: RetentionPolicy.Limits,
        storage: StorageType.File
      })
    )
    return { lastSequence: made.state.last_seq, complaint: null }
  }
  let complaint: string | null = null
  try {
    await byWishes(wishes, async (replicas) => {
      const wanted = streamConfig(settings, replicas)
      if (differs(found.config, wanted)) await manager.streams.update(STREAM, wanted)
    })
  } catch (error) {
    if (!(error instanceof JetStreamApiError)) throw error
    complaint = error.message
  }
  return { lastSequence: found.state.last_seq, complaint }
}
