import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterEach, describe, expect, it } from "vitest"

const script = fileURLToPath(new URL("../../scripts/layers.mjs", import.meta.url))
const folders: Array<string> = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

/** Runs the check on a project of one file. */
const check = (file: string, text: string): { readonly ok: boolean; readonly message: string } => {
  const folder = mkdtempSync(join(tmpdir(), "trails-layers-"))
  folders.push(folder)
  const path = join(folder, "src", file)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  const { status, stderr } = spawnSync(process.execPath, [script, folder], { encoding: "utf8" })
  return { ok: status === 0, message: stderr }
}

const allowed: ReadonlyArray<readonly [file: string, specifier: string]> = [
  ["main.ts", "./storage/PgNodeStore.ts"],
  ["main.ts", "./transports/WebSocketServer.ts"],
  ["transports/Session.ts", "../actors/ActorSystem.ts"],
  ["transports/rest/apps.ts", "../../storage/NodeQueries.ts"],
  ["actors/NodeActor.ts", "../supervision/Supervisor.ts"],
  ["supervision/ReplicaLease.ts", "../storage/ReplicaStore.ts"],
  ["storage/PgNodeStore.ts", "./Postgres.ts"],
  ["storage/NodeRow.ts", "../protocol/Frames.ts"],
  ["storage/Postgres.ts", "../Settings.ts"],
  ["actors/NodeActor.ts", "../Telemetry.ts"],
  ["client/Client.ts", "ws"],
  ["client/Client.ts", "../protocol/Frames.ts"],
  ["protocol/Ed25519.ts", "@noble/ed25519"],
  ["cli/commands/run.ts", "../../run/Wrapper.ts"],
  ["cli/Program.ts", "commander"],
  ["cli/Api.ts", "../client/HttpSigner.ts"],
  ["run/Wrapper.ts", "../client/index.ts"],
  ["actors/KeyFile.ts", "../keys/KeyText.ts"],
  ["events/Filters.ts", "../protocol/Subjects.ts"],
  ["events/Subscription.ts", "@nats-io/jetstream"]
]

const refused: ReadonlyArray<readonly [file: string, specifier: string, reason: string]> = [
  ["actors/NodeActor.ts", "../transports/Session.ts", "actors may not import transports"],
  ["supervision/Supervisor.ts", "../actors/ActorSystem.ts", "supervision may not import actors"],
  ["storage/NodeStore.ts", "../supervision/Supervisor.ts", "storage may not import supervision"],
  ["storage/NodeStore.ts", "../actors/ActorSystem.ts", "storage may not import actors"],
  ["protocol/Frames.ts", "../storage/NodeRow.ts", "protocol may not import storage"],
  ["protocol/Frames.ts", "../Settings.ts", "protocol may not import root"],
  ["protocol/Frames.ts", "effect", "protocol may not depend on the package effect"],
  ["protocol/Frames.ts", "effect/Schema", "protocol may not depend on the package effect/Schema"],
  ["protocol/Frames.ts", "node:crypto", "protocol must run without Node's own modules"],
  ["client/Client.ts", "effect", "client may not depend on the package effect"],
  ["client/Client.ts", "../actors/ActorSystem.ts", "client may not import actors"],
  ["events/Filters.ts", "../actors/Ed25519.ts", "events may not import actors"],
  ["events/Filters.ts", "effect", "events may not depend on the package effect"],
  ["events/Filters.ts", "../Settings.ts", "events may not import root"],
  ["client/Client.ts", "../Settings.ts", "client may not import root"],
  ["actors/StorageActor.ts", "../storage/PgNodeStore.ts", "only main.ts chooses an adapter"],
  ["transports/rest/apps.ts", "../../storage/Postgres.ts", "only main.ts chooses an adapter"],
  ["actors/NodeActor.ts", "ws", "actors may not depend on the package ws"],
  ["Settings.ts", "./actors/ActorSystem.ts", "root may not import actors"],
  ["transports/Session.ts", "../main.ts", "nothing imports an entry point"],
  ["transports/Session.ts", "../../test/harness/Wire.ts", "outside of src"],
  ["cli/Program.ts", "effect", "cli may not depend on the package effect"],
  ["cli/Api.ts", "../actors/KeyFile.ts", "cli may not import actors"],
  ["cli/Api.ts", "../Settings.ts", "cli may not import root"],
  ["run/Wrapper.ts", "../cli/Api.ts", "run may not import cli"],
  ["run/Wrapper.ts", "commander", "run may not depend on the package commander"],
  ["keys/KeyText.ts", "../actors/Ed25519.ts", "keys may not import actors"],
  ["helpers/Text.ts", "effect", "helpers/ has no place among the layers"]
]

describe("layers", () => {
  it.for(allowed)("%s imports %s → fine", ([file, specifier]) => {
    expect(check(file, `import { A } from "${specifier}"\n`)).toEqual({ ok: true, message: "" })
  })

  it.for(refused)("%s imports %s → refused: %s", ([file, specifier, reason]) => {
    const { ok, message } = check(file, `import { A } from "${specifier}"\n`)
    expect(ok).toBe(false)
    expect(message).toContain(`src/${file} imports "${specifier}": ${reason}`.split(`: ${reason}`)[0])
    expect(message).toContain(reason)
  })

  it.for([
    `import type { A } from "../transports/Session.ts"`,
    `export { A } from "../transports/Session.ts"`,
    `import {\n  A,\n  B\n} from "../transports/Session.ts"`,
    `import "../transports/Session.ts"`,
    `const a = await import("../transports/Session.ts")`,
    `const worker = new Worker(new URL("../transports/Session.ts", import.meta.url))`
  ])("every form of import counts: %s", (text) => {
    expect(check("actors/NodeActor.ts", text).message).toContain("actors may not import transports")
  })

  it("a comment and a call named from are no imports", () => {
    const text = `/** import "../transports/Session.ts" */\n// from "ws"\nconst a = Buffer.from("00ff", "hex")\n`
    expect(check("actors/NodeActor.ts", text)).toEqual({ ok: true, message: "" })
  })
})
