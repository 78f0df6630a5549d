import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import pg from "pg"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { type FreshDatabase, freshDatabase } from "../harness/freshDatabase.ts"
import { leash } from "../harness/Leash.ts"
import { waitUntil } from "../harness/waitUntil.ts"

/** A replica in a process of its own, so that it can be killed and frozen. */
class Replica {
  readonly lines: Array<string> = []
  readonly #process: ChildProcess
  readonly #unleash: () => void

  constructor(url: string) {
    this.#process = spawn(process.execPath, [new URL("replicaProcess.ts", import.meta.url).pathname], {
      env: { ...process.env, DATABASE_URL: url },
      stdio: ["ignore", "pipe", "inherit"]
    })
    this.#unleash = leash(this.#process.pid!)
    createInterface({ input: this.#process.stdout! }).on("line", (line) => this.lines.push(line))
  }

  get boot(): string {
    return this.lines.find((line) => line.startsWith("boot "))?.slice(5) ?? ""
  }

  says(line: string): boolean {
    return this.lines.includes(line)
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal)
  }

  async end(): Promise<void> {
    this.#process.kill("SIGKILL")
    await waitUntil("the process has ended", () => this.#process.exitCode !== null || this.#process.signalCode !== null)
    this.#unleash()
  }
}

describe("two replicas on one Postgres", () => {
  let database: FreshDatabase
  let client: pg.Client
  const replicas: Array<Replica> = []

  const start = async (): Promise<Replica> => {
    const replica = new Replica(database.url)
    replicas.push(replica)
    await waitUntil("the replica has its lease", () => replica.boot !== "", { withinMs: 15_000 })
    return replica
  }

  const holder = async (): Promise<string | undefined> =>
    (await client.query("select holder from leases where duty = 'work' and expires_at > now()")).rows[0]?.holder

  const isReaped = async (boot: string): Promise<boolean> =>
    (await client.query("select reaped_at is not null as reaped from replicas where boot = $1", [boot])).rows[0]?.reaped

  beforeAll(async () => {
    database = await freshDatabase()
    client = new pg.Client({ connectionString: database.url })
    await client.connect()
  })

  afterAll(async () => {
    await Promise.all(replicas.map((replica) => replica.end()))
    await client.end()
    await database.drop()
  })

  it("kill -9 of the holder: the survivor takes the duty over and reaps it, then a frozen one steps down when it wakes", async () => {
    const first = await start()
    await waitUntil("the first works", () => first.says("works"))
    const second = await start()
    assert.strictEqual(await holder(), first.boot)
    assert.isFalse(second.says("works"))

    await first.end()
    await waitUntil("the survivor works", () => second.says("works"))
    assert.strictEqual(await holder(), second.boot)
    await waitUntil("the dead one is reaped", () => isReaped(first.boot))
    assert.isFalse(await isReaped(second.boot))

    const third = await start()
    second.signal("SIGSTOP")
    await waitUntil("the third works", () => third.says("works"))
    await waitUntil("the frozen one is reaped", () => isReaped(second.boot))
    second.signal("SIGCONT")
    await waitUntil("the frozen one has stepped down", () => second.says("lost reaped"))
    assert.strictEqual(await holder(), third.boot)
  }, 60_000)
})
