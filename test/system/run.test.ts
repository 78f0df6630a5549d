import { once } from "node:events"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { decodeEnvelope } from "../../src/protocol/Envelope.ts"
import { freePort } from "../harness/freePort.ts"
import { post } from "../harness/Rest.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { Tree } from "./run/Tree.ts"
import { User } from "./run/Wrapped.ts"

let server: Trailsd
let user: User
const tree = new Tree(() => server.http)

beforeAll(async () => {
  server = await Trailsd.start()
  user = new User(server)
})
afterAll(async () => {
  await server?.dispose()
  user?.dispose()
})

/** Processes whose command line has `mark`. */
const processes = (mark: string): ReadonlyArray<number> =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const [state] = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1] ?? ""
        return state !== "Z" && readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").includes(mark)
      } catch {
        return false
      }
    })

/** A time to sleep that no other process has: it finds the sleeper. */
const SLEEPER = { killed: "3601.25", left: "3602.25", cancelled: "3603.25", forced: "3604.25", hurried: "3605.25" }

describe.concurrent("a run", () => {
  it("tells of a good end: exit code, duration, memory", async () => {
    const go = join(user.folder, "go")
    const run = user.run("good", `echo out; sleep 0.3; while [ ! -e '${go}' ]; do sleep 0.05; done`)
    // Memory is sampled: by a wrapper that has come to speak with the server, also where many of them share two cores.
    await tree.node("good", ({ status }) => status === "running")
    writeFileSync(go, "")
    const { code, stdout } = await run.ended
    expect({ code, stdout }).toEqual({ code: 0, stdout: "out\n" })
    const row = await tree.node("good", ({ status }) => status === "done")
    const result = await tree.said(row, "result")
    expect(result).toMatchObject({ exit_code: 0 })
    expect(result["duration_ms"]).toBeGreaterThanOrEqual(300)
    expect(result["peak_rss_kb"]).toBeGreaterThan(500)
    const [, started] = await tree.log(row)
    expect(started).toMatchObject({ kind: "status", payload: { state: "started", executable: "sh", pid: row.pid } })
  })

  it("tells of a bad end: exit code, the end of stderr as valid text without controls", async () => {
    const script = String.raw`printf '%05000d' 0 >&2; printf '\303\244\033[31m boom\n' >&2; exit 3`
    const { code, stderr } = await user.run("bad", script).ended
    expect(code).toBe(3)
    expect(stderr.endsWith("ä\u001b[31m boom\n")).toBe(true)
    const error = await tree.said(await tree.node("bad", ({ status }) => status === "error"), "error")
    expect(error).toMatchObject({ exit_code: 3, message: "exit code 3" })
    expect(error["stderr_tail"]).toMatch(/^0{4000,}ä\\x1b\[31m boom\n$/)
  })

  it.each([
    ["nosuch-command-at-all", 127],
    ["/etc/passwd", 126]
  ])("%s ends with %i, as in a shell", async (command, expected) => {
    const name = `start ${expected}`
    const { code } = await user.trails(["run", "--name", name, "--", command]).ended
    expect(code).toBe(expected)
    const error = await tree.said(await tree.node(name, ({ status }) => status === "error"), "error")
    expect(error).toMatchObject({ exit_code: expected })
    expect(error["stderr_tail"]).toContain(command)
  })

  it("forwards signals, and ends as a shell says it", async () => {
    const run = user.run("signalled", `trap 'echo caught; exit 9' USR1; sleep 100 & wait`)
    await tree.node("signalled", ({ status }) => status === "running")
    run.process.kill("SIGUSR1")
    expect(await run.ended).toMatchObject({ code: 9, stdout: "caught\n" })

    const other = user.run("terminated", "sleep 100")
    await tree.node("terminated", ({ status }) => status === "running")
    other.process.kill("SIGTERM")
    expect((await other.ended).code).toBe(128 + 15)
    const error = await tree.said(await tree.node("terminated", ({ status }) => status === "error"), "error")
    expect(error).toMatchObject({ signal: "SIGTERM", message: "killed by SIGTERM" })
  })

  it("ends what takes too long: asks, and kills the group after the grace", async () => {
    const script = `trap '' TERM; sleep ${SLEEPER.forced}; sleep ${SLEEPER.forced}`
    const { code } = await user.run("slow", script, "--timeout", "500ms", "--grace", "300ms").ended
    expect(code).toBe(128 + 9)
    const error = await tree.said(await tree.node("slow", ({ status }) => status === "error"), "error")
    expect(error).toMatchObject({ timed_out: true, forced: true, signal: "SIGKILL" })
    expect(processes(SLEEPER.forced)).toEqual([])
  })

  it("is killed when the one who allows least says so, though others have allowed more", async () => {
    const script = `trap '' TERM; sleep ${SLEEPER.hurried}; sleep ${SLEEPER.hurried}`
    const run = user.run("hurried", script, "--grace", "10m", "--timeout", "1s")
    await waitUntil("it sleeps", () => processes(SLEEPER.hurried).length > 0)
    const { app_id } = await tree.node("hurried", ({ status }) => status === "running")
    expect((await user.trails(["cancel", app_id, "--grace", "9m", "--detach"]).ended).code).toBe(0)
    await user.trails(["cancel", app_id, "--grace", "1s"]).ended
    expect((await run.ended).code).toBe(128 + 9)
    expect(processes(SLEEPER.hurried)).toEqual([])
  })

  it("does not look like a success when the command ends well after its time", async () => {
    const { code } = await user.run("late", `trap 'exit 0' TERM; sleep 100 & wait`, "--timeout", "500ms").ended
    expect(code).toBe(124)
    const error = await tree.said(await tree.node("late", ({ status }) => status === "error"), "error")
    expect(error).toMatchObject({ timed_out: true, exit_code: 0 })
  })

  it("does not wait for what the command leaves behind", async () => {
    const script = `sleep ${SLEEPER.left} & echo $!; exit 0`
    const { code, stdout } = await user.run("left", script).ended
    expect(code).toBe(0)
    const pid = Number(stdout)
    expect(processes(SLEEPER.left)).toContain(pid)
    process.kill(pid)
  })

  it("hands descriptors on, and names one for status lines that is free", async () => {
    const file = join(user.folder, "three")
    const script = `exec 3>"${file}"; trails run --name inner-fds -- sh -c 'echo three >&3; echo "$TRAILS_STATUS_FD"'`
    const { stdout } = await user.run("outer-fds", `${script}; echo "$TRAILS_STATUS_FD"`).ended
    expect(stdout).toBe("4\n3\n")
    expect(readFileSync(file, "utf8")).toBe("three\n")
  })

  it("reports JSON lines with every digit, opened by path or number, and says what it leaves out", async () => {
    const lines = [
      `echo '{"n": 12345678901234567890}' >&"$TRAILS_STATUS_FD"`,
      `echo not-json >&"$TRAILS_STATUS_FD"`,
      `printf '"last"' > "/dev/fd/$TRAILS_STATUS_FD"`,
      `echo to-stderr > /dev/stderr`
    ]
    const { stderr } = await user.run("lines", lines.join("\n")).ended
    expect(stderr).toContain("to-stderr\n")
    expect(stderr).toMatch(/^trails: line 2 on TRAILS_STATUS_FD is not JSON/m)
    const row = await tree.node("lines", ({ status }) => status === "done")
    expect(await tree.logText(row)).toContain(`"payload":{"n": 12345678901234567890}`)
    expect((await tree.log(row)).map(({ payload }) => payload)).toContain("last")
    expect(await tree.said(row, "result")).toMatchObject({ status_lines_ignored: 1 })
  })

  it("speaks for the command: report, result, error", async () => {
    const script = `trails report '{"step": 1, "of": 2}' && trails result '{"rows": 98765432109876543210}' && ! trails result 2`
    const { code, stderr } = await user.run("speaking", script).ended
    expect(code).toBe(0)
    expect(stderr).toContain("has had its result already: the first one counts")
    const row = await tree.node("speaking", ({ status }) => status === "done")
    const text = await tree.logText(row)
    expect(text).toContain(`"payload":{"step": 1, "of": 2}`)
    expect(text).toMatch(/"payload":\{"exit_code":0,[^}]*"result":\{"rows": 98765432109876543210\}\}/)

    expect((await user.run("failing", `trails error '{"why": "no table"}'`).ended).code).toBe(0)
    const failed = await tree.node("failing", ({ status }) => status === "error")
    expect(await tree.said(failed, "error")).toMatchObject({ exit_code: 0, error: { why: "no table" } })
  })

  it("outside of a run, speaking does nothing; what is not JSON is refused everywhere", async () => {
    expect(await user.trails(["report", "1"]).ended).toMatchObject({ code: 0, stdout: "", stderr: "" })
    const { code, stderr } = await user.trails(["result", "{a:1}"]).ended
    expect(code).toBe(64)
    expect(stderr).toContain(`trails result '{"step": 1}'`)
  })

  it("gives the command no secret: a certificate and a socket of its own user", async () => {
    const run = user.run("secrets", `env; ls -lan "\${TRAILS_AGENT%/*}"; stat -c %a "\${TRAILS_AGENT%/*}"`)
    const { stdout } = await run.ended
    const [, info = ""] = /^TRAILS_INFO=(.*)$/m.exec(stdout) ?? []
    expect(decodeEnvelope(info)).toMatchObject({ appName: "sh", childKey: null, grants: [] })
    const ours = stdout.match(/^TRAILS_\w+(?==)/gm)?.toSorted()
    expect(ours).toEqual(["TRAILS_AGENT", "TRAILS_INFO", "TRAILS_SERVER", "TRAILS_STATUS_FD"])
    expect(stdout).toMatch(/^700$/m)
    // Nothing but the socket.
    expect(stdout.match(/^[a-z-]{10}.* [0-9a-f-]{36}$/gm)).toHaveLength(1)
    const [, socket = ""] = /^TRAILS_AGENT=(.*)$/m.exec(stdout) ?? []
    expect(existsSync(dirname(socket))).toBe(false)
  })
})

describe.concurrent("nested runs and clients", () => {
  it("each becomes a child with an id of its own; the first client is the command", async () => {
    const program = join(user.folder, "client.mjs")
    writeFileSync(
      program,
      `import { init } from ${JSON.stringify(resolve(import.meta.dirname, "../../src/client/index.ts"))}
       const node = await init()
       node.result(process.argv[2])
       console.log(node.appId, await node.shutdown())`
    )
    const client = (word: string) => `'${process.execPath}' '${program}' ${word}`
    const script = `echo "$TRAILS_INFO"; ${client("first")}; ${client("second")} & trails run --name nested -- ${client("third")} & wait`
    const { code, stdout, stderr } = await user.run("clients", script).ended
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    const root = await tree.node("clients", ({ status }) => status === "done")
    const children = await tree.children(root)
    expect(children.map(({ app_name, status }) => `${app_name} ${status}`).toSorted()).toEqual([
      "nested done",
      "sh done",
      "sh done"
    ])
    const [info = "", first = ""] = stdout.split("\n")
    expect(decodeEnvelope(info)).toMatchObject({ appId: first.split(" ")[0], parentId: root.app_id })
    const nested = children.find(({ app_name }) => app_name === "nested")!
    expect(await tree.children(nested)).toMatchObject([{ app_name: "node", status: "done" }])
    expect(stdout.match(/ true$/gm)).toHaveLength(3)
  })

  it("with TRAILS_INFO alone it is that node", async () => {
    const { body } = await post(server.http, "roots", { appName: "declared", startDeadline: 60 })
    const { appId, info } = body as { readonly appId: string; readonly info: string }
    const args = ["run", "--name", "other-name", "--", "sh", "-c", "trails run --name below -- true"]
    expect((await user.trails(args, { TRAILS_INFO: info }).ended).code).toBe(0)
    const row = await tree.node("declared", ({ status }) => status === "done")
    expect(row.app_id).toBe(appId)
    expect(await tree.children(row)).toMatchObject([{ app_name: "below", status: "done" }])
  })
})

describe.concurrent("what goes wrong", () => {
  it("a wrapper that is killed takes its command's group along, nested runs too, and is crashed within 2 s", async () => {
    const script = `echo "$TRAILS_AGENT"; sleep ${SLEEPER.killed} & trails run --name inner-victim -- sleep ${SLEEPER.killed} & wait`
    const run = user.run("victim", script)
    await tree.node("inner-victim", ({ status }) => status === "running")
    await waitUntil("both sleep", () => processes(SLEEPER.killed).length >= 2)
    run.process.kill("SIGKILL")
    const killed = performance.now()
    await run.ended
    await waitUntil("no process is left", () => processes(SLEEPER.killed).length === 0, { withinMs: 5000 })
    await tree.node("victim", ({ status }) => status === "crashed")
    // 2 s, and what a busy machine adds.
    expect(performance.now() - killed).toBeLessThan(4000)
    await tree.node("inner-victim", ({ status }) => status === "crashed")
    const folder = dirname(run.stdout.trim())
    expect(folder.startsWith(user.folder)).toBe(true)
    await waitUntil("its folder is gone", () => !existsSync(folder))
  })

  it("what may not live any more is told so, and stopped", async () => {
    const { body } = await post(server.http, "roots", { appName: "too-late", startDeadline: 1 })
    const { info } = body as { readonly info: string }
    await tree.node("too-late", ({ status }) => status === "start_failed")
    const args = ["run", "--grace", "1", "--", "sh", "-c", `sleep ${SLEEPER.cancelled} & wait`]
    const { code } = await user.trails(args, { TRAILS_INFO: info }).ended
    expect(code).toBe(128 + 15)
    expect(processes(SLEEPER.cancelled)).toEqual([])
    const row = await tree.node("too-late", ({ status }) => status === "start_failed")
    const told = (await tree.log(row)).filter(({ kind }) => kind === "control").map(({ data }) => data)
    expect(told).toMatchObject([
      { late_start: true },
      { outcome: "acked", late_start: true },
      { disconnect: "cancelled", late_start: true }
    ])
  })

  it("a server that was never there costs one line, and no time", async () => {
    const port = await freePort()
    const nowhere = { TRAILS_SERVER: `127.0.0.1:${port}` }
    const script = `trails run --name in -- sh -c 'exit 4'; exit 5`
    const { code, stderr } = await user.trails(["run", "--name", "out", "--", "sh", "-c", script], nowhere).ended
    expect(code).toBe(5)
    const lines = stderr.trimEnd().split("\n")
    expect(lines).toHaveLength(2)
    expect(lines[0]).toMatch(/^trails: in: nothing of it was reported/)
    expect(lines[1]).toMatch(/^trails: out: nothing of it was reported \(No server listens at/)
  })

  it("a slow reader of stderr gets all that the command has written, and then what the run itself has to say", async () => {
    const nowhere = { TRAILS_SERVER: `127.0.0.1:${await freePort()}` }
    const script = "head -c 3000000 /dev/zero | tr '\\0' x >&2; echo >&2; exit 3"
    const run = user.trails(["run", "--name", "loud", "--", "sh", "-c", script], nowhere)
    const stream = run.process.stderr!
    stream.on("data", () => {
      stream.pause()
      setTimeout(() => stream.resume(), 3)
    })
    await once(stream, "end")
    const { code } = await run.ended
    const lines = run.stderr.trimEnd().split("\n")
    expect(lines.map(({ length }) => length)).toEqual([3_000_000, lines.at(-1)!.length])
    expect(lines.at(-1)).toMatch(/^trails: loud: nothing of it was reported/)
    expect(code).toBe(3)
  })

  it("that nobody reads stderr keeps a cancelled run from nothing: it goes, with the command's exit code", async () => {
    // Not in the foreground: the shell would tell of its death on stderr, and hang there itself.
    const script = `trap 'exit 7' TERM; head -c 3000000 /dev/zero | tr '\\0' x >&2 & wait`
    const run = user.run("unread", script)
    run.process.stderr!.pause()
    const { app_id } = await tree.node("unread", ({ status }) => status === "running")
    expect((await user.trails(["cancel", app_id, "--grace", "10s"]).ended).code).toBe(0)
    expect((await run.ended).code).toBe(7)
    await tree.node("unread", ({ status }) => status === "cancelled")
  })

  it("a TRAILS_INFO that can't be read is told, and the command runs", async () => {
    const { code, stderr } = await user.trails(["run", "--name", "lost", "--", "sh", "-c", "exit 6"], {
      TRAILS_INFO: "rubbish"
    }).ended
    expect(code).toBe(6)
    expect(stderr.trimEnd().split("\n")).toHaveLength(1)
    expect(stderr).toContain("TRAILS_INFO")
    expect(await tree.named("lost")).toEqual([])
  })
})
