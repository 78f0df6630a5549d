import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { hostname } from "node:os"
import { join, resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Context, Data, Effect, Layer } from "effect"
import { Settings } from "../Settings.ts"

/** The folder can't be used; the message names the remedy. */
export class DataDirError extends Data.TaggedError("DataDirError")<{
  readonly reason: "Locked" | "Unusable"
  readonly message: string
}> {}

/**
 * The folder of embedded data and generated keys, held by this process alone.
 *
 * - D1: at most one live process holds a folder.
 * - D2: nothing has to be cleaned up after a death of any kind: the lock is the kernel's.
 *
 * The lock is an exclusive SQLite transaction on the empty file `lock`, which is a POSIX record lock underneath. The
 * kernel drops it with the process, kill -9 included, so that there is no stale lock to judge and no pid to mistake for
 * another's; containers that share a volume see it, which an abstract socket or a pid file would not give. The file
 * itself stays: removing it would let two processes lock two files of the same name. `owner.json` only informs.
 */
export class DataDir extends Context.Service<
  DataDir,
  {
    /** Absolute. */
    readonly path: string
    /** Others on this machine can enter the folder: worth a warning. */
    readonly exposed: boolean
  }
>()("trails/storage/DataDir") {
  static readonly layer: Layer.Layer<DataDir, DataDirError, Settings> = Layer.effect(
    DataDir,
    Effect.flatMap(Settings, (settings) => holdDataDir(settings.dataDir))
  )
}

const SQLITE_BUSY = 5

export const holdDataDir = Effect.fnUntraced(function* (folder: string) {
  const path = resolve(folder)
  const created = yield* attempt(path, () => mkdirSync(path, { recursive: true, mode: 0o700 }))
  yield* Effect.acquireRelease(acquireLock(path), (lock) =>
    Effect.sync(() => {
      rmSync(join(path, "owner.json"), { force: true })
      lock.close()
    })
  )
  // mkdir's mode is subject to the umask; a folder that was there before is the operator's to judge.
  if (created !== undefined) yield* attempt(path, () => chmodSync(path, 0o700))
  const exposed = yield* attempt(path, () => (statSync(path).mode & 0o077) !== 0)
  return { path, exposed }
})

const acquireLock = (path: string): Effect.Effect<DatabaseSync, DataDirError> =>
  Effect.suspend(() => {
    let lock: DatabaseSync | null = null
    try {
      lock = new DatabaseSync(join(path, "lock"), { timeout: 0 })
      chmodSync(join(path, "lock"), 0o600)
      lock.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE")
      writeFileSync(join(path, "owner.json"), JSON.stringify({ pid: process.pid, host: hostname() }), { mode: 0o600 })
      return Effect.succeed(lock)
    } catch (cause) {
      lock?.close()
      return Effect.fail((cause as { errcode?: number }).errcode === SQLITE_BUSY ? locked(path) : unusable(path, cause))
    }
  })

const locked = (path: string): DataDirError =>
  new DataDirError({
    reason: "Locked",
    message:
      `Another trailsd${ownerOf(path)} uses ${path}. Stop that one, or start this one on a folder and a port of ` +
      "its own: TRAILS_DATA_DIR=./.trailsd-2 LISTEN_ADDR=127.0.0.1:8444 npm start"
  })

const ownerOf = (path: string): string => {
  try {
    const owner: unknown = JSON.parse(readFileSync(join(path, "owner.json"), "utf8"))
    const { pid, host } = owner as { readonly pid?: unknown; readonly host?: unknown }
    if (typeof pid !== "number") return ""
    return host === hostname() ? ` (pid ${pid})` : ` (pid ${pid} on ${String(host)})`
  } catch {
    // Written just after the lock is taken: the other one may be that young.
    return ""
  }
}

const unusable = (path: string, cause: unknown): DataDirError =>
  new DataDirError({
    reason: "Unusable",
    message:
      `The data folder ${path} can't be used (${describe(cause)}). Make it writable for this user, or choose ` +
      "another one with TRAILS_DATA_DIR"
  })

const describe = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

const attempt = <A>(path: string, body: () => A): Effect.Effect<A, DataDirError> =>
  Effect.try({ try: body, catch: (cause) => unusable(path, cause) })
