import { hash, randomUUID } from "node:crypto"
import { connect, createServer } from "node:net"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, describe, expect, it } from "vitest"
import type { AgentAnswer, AgentRequest } from "../../src/client/AgentMessage.ts"
import { AgentUnreachable, askAgent } from "../../src/client/askAgent.ts"
import { nobleEd25519 } from "../../src/client/NobleEd25519.ts"
import { decodeEnvelope, type Envelope, isEnvelopeProblem } from "../../src/protocol/Envelope.ts"
import { verifyTicket } from "../../src/protocol/Ticket.ts"
import { Agent } from "../../src/run/Agent.ts"
import { AgentDesk } from "../../src/run/AgentDesk.ts"
import { type KnownServer, type RootAuthority, RunIdentity, type Surroundings } from "../../src/run/RunIdentity.ts"
import { RunNode } from "../../src/run/RunNode.ts"
import { makeKeypair } from "../harness/Keypair.ts"
import { makeEnvelope } from "../harness/TestEnvelope.ts"

const endpoint = "ws://127.0.0.1:1/ws"
const serverKeys = makeKeypair()
const OPEN: KnownServer = { endpoint, level: "open", serverPubKey: null }
const SIGNED: KnownServer = { endpoint, level: "signed", serverPubKey: serverKeys.text }
const ALONE: Surroundings = { info: null, agent: null, traceparent: null }
const nobody: RootAuthority = {
  describe: () => Promise.reject(new Error("no server")),
  found: () => Promise.reject(new Error("no server")),
  isRetryable: () => true
}
const wish = { name: "job", tags: { team: "a" } }
const never = new AbortController().signal

const open = (info: string | null): Envelope => {
  const envelope = decodeEnvelope(info ?? "")
  if (isEnvelopeProblem(envelope)) throw new Error(envelope.problem)
  return envelope
}

const infoOf = (answer: AgentAnswer): string | null => {
  if (!answer.ok || !("info" in answer)) throw new Error(JSON.stringify(answer))
  return answer.info
}

const deskOf = (identity: RunIdentity): AgentDesk => {
  const node = new RunNode({
    identity,
    executable: "sh",
    graceMs: 1000,
    onCancel: () => Promise.resolve(null),
    warn: () => {}
  })
  return new AgentDesk(identity, node, "sh")
}

describe("who a run is", () => {
  it("a root by itself in open: at once, with its tags and no deadline", async () => {
    const identity = new RunIdentity(
      { ...ALONE, traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01` },
      wish,
      OPEN,
      nobody
    )
    const envelope = open(await identity.certificate(() => {}, never))
    expect(envelope).toMatchObject({
      appId: identity.appId,
      parentId: null,
      appName: "job",
      startDeadline: 0,
      tags: { team: "a" }
    })
    expect(envelope.traceparent).toMatch(/^00-a{32}-(?!b{16})[0-9a-f]{16}-01$/)
  })

  it("a root above open is founded by the server, for the run's own key", async () => {
    const founded: Array<unknown> = []
    const identity = new RunIdentity(ALONE, wish, SIGNED, {
      ...nobody,
      found: (request) => {
        founded.push(request)
        const { appId, appName, childKey } = request
        const fields = {
          serverEp: endpoint,
          serverPubKey: serverKeys.text,
          secLevel: "signed" as const,
          scheduledAt: 1
        }
        return Promise.resolve(makeEnvelope({ appId, appName, childKey, ...fields }, serverKeys).info)
      }
    })
    expect(open(await identity.certificate(() => {}, never)).appId).toBe(identity.appId)
    expect(founded).toMatchObject([{ appId: identity.appId, childKey: identity.key.publicKey, startDeadline: 0 }])
  })

  it("asks for the level that it does not know, and again while that may help", async () => {
    let asked = 0
    const failures: Array<string> = []
    const identity = new RunIdentity(
      ALONE,
      wish,
      { ...OPEN, level: null },
      {
        ...nobody,
        describe: () =>
          ++asked < 3
            ? Promise.reject(new Error("away"))
            : Promise.resolve({ level: "open" as const, serverPubKey: null })
      }
    )
    expect(await identity.settled(0)).toBe(false)
    open(await identity.certificate((error) => void failures.push(error.message), never))
    expect(failures).toEqual(["away", "away"])
    expect(await identity.settled(0)).toBe(true)
  })

  it("asks a run that has too many callers again, and does not call it a failure", async () => {
    const folder = mkdtempSync(join(tmpdir(), "trails-busy-"))
    const run = randomUUID()
    const path = join(folder, run)
    const { info } = makeEnvelope({ parentId: run, serverEp: endpoint }, null)
    const server = createServer((socket) => socket.on("error", () => {}).end(`${JSON.stringify({ ok: true, info })}\n`))
    await new Promise<void>((resolve) => server.listen({ path, backlog: 1 }, resolve))
    // All in one turn: none of them is accepted before the last has asked.
    const callers = Array.from({ length: 4 }, () => connect({ path }).on("error", () => {}))
    const failures: Array<string> = []
    const identity = new RunIdentity({ ...ALONE, agent: path }, wish, OPEN, nobody)
    const certified = identity.certificate((error) => void failures.push(error.message), never)
    expect(await identity.settled(10_000)).toBe(false)
    expect(await certified).toBe(info)
    expect(failures).toEqual([])
    for (const caller of callers) caller.destroy()
    server.close()
    rmSync(folder, { recursive: true })
  })

  it("gives up for good where asking again can't help", async () => {
    const identity = new RunIdentity(ALONE, wish, SIGNED, { ...nobody, isRetryable: () => false })
    await expect(identity.certificate(() => {}, never)).rejects.toThrow("no server")
  })

  it("is what TRAILS_INFO says, unless the run around it has issued that", () => {
    const run = randomUUID()
    const own = makeEnvelope({ parentId: run, serverEp: endpoint, appName: "given" }, null)
    const alone = new RunIdentity({ ...ALONE, info: own.info }, wish, OPEN, nobody)
    expect([alone.kind, alone.appId, alone.name]).toEqual(["given", own.appId, "given"])
    const inside = new RunIdentity({ ...ALONE, info: own.info, agent: `/tmp/x/${run}` }, wish, OPEN, nobody)
    expect([inside.kind, inside.appId === own.appId, inside.name]).toEqual(["nested", false, "job"])
    const foreign = new RunIdentity({ ...ALONE, info: own.info, agent: `/tmp/x/${randomUUID()}` }, wish, OPEN, nobody)
    expect([foreign.kind, foreign.appId]).toEqual(["given", own.appId])
    const broken = new RunIdentity({ ...ALONE, info: "rubbish" }, wish, OPEN, nobody)
    expect([broken.kind, broken.problem === null]).toEqual(["none", false])
  })
})

describe("what a run does for those below it", () => {
  const ed25519 = nobleEd25519((bytes) => new Uint8Array(hash("sha512", bytes, "buffer")))

  it("the first that asks is the command, the others are children of their own", async () => {
    const identity = new RunIdentity(ALONE, wish, SIGNED, nobody)
    const desk = deskOf(identity)
    const command = open(desk.commandInfo)
    expect(command).toMatchObject({ parentId: identity.appId, appName: "sh", startDeadline: 0 })
    expect(infoOf(await desk.answer({ op: "claim", appId: command.appId }))).toBeNull()
    const second = open(infoOf(await desk.answer({ op: "claim", appId: command.appId })))
    const third = open(infoOf(await desk.answer({ op: "claim", appId: null })))
    for (const { json, parentId } of [command, second, third]) {
      expect(verifyTicket(json, identity.key.publicKey, ed25519)).toBe(true)
      expect(parentId).toBe(identity.appId)
    }
    expect(new Set([command.appId, second.appId, third.appId]).size).toBe(3)
  })

  it("whoever has lost TRAILS_INFO and asks first is the command too", async () => {
    const desk = deskOf(new RunIdentity(ALONE, wish, SIGNED, nobody))
    const { appId } = open(desk.commandInfo)
    expect(open(infoOf(await desk.answer({ op: "claim", appId: null }))).appId).toBe(appId)
  })

  it("a certificate of somebody else's child is left alone", async () => {
    const desk = deskOf(new RunIdentity(ALONE, wish, SIGNED, nobody))
    expect(infoOf(await desk.answer({ op: "claim", appId: randomUUID() }))).toBeNull()
  })

  it("the command's certificate is made anew when the server is another than was thought", async () => {
    const describe = () => Promise.resolve({ level: "signed" as const, serverPubKey: serverKeys.text })
    const identity = new RunIdentity(
      ALONE,
      wish,
      { ...OPEN, level: null },
      { ...nobody, describe, found: () => Promise.resolve(root.info) }
    )
    const fields = { serverEp: endpoint, serverPubKey: serverKeys.text, secLevel: "signed" as const }
    const root = makeEnvelope({ appId: identity.appId, ...fields }, serverKeys)
    const desk = deskOf(identity)
    const guessed = open(desk.commandInfo)
    expect(guessed.secLevel).toBe("open")
    await identity.certificate(() => {}, never)
    const right = open(infoOf(await desk.answer({ op: "claim", appId: guessed.appId })))
    expect(right).toMatchObject({ appId: guessed.appId, secLevel: "signed", serverPubKey: serverKeys.text })
  })

  it("a nested run gets a certificate for its own id, key and tags; none while the server is not known", async () => {
    const identity = new RunIdentity(ALONE, wish, SIGNED, nobody)
    const request = {
      op: "child",
      appId: randomUUID(),
      name: "inner",
      childKey: makeKeypair().text,
      tags: { a: "b" },
      traceparent: null
    } as const
    const child = open(infoOf(await deskOf(identity).answer(request)))
    const { appId, childKey, tags } = request
    expect(child).toMatchObject({
      appId,
      parentId: identity.appId,
      appName: "inner",
      childKey,
      tags,
      secLevel: "signed"
    })
    expect(verifyTicket(child.json, identity.key.publicKey, ed25519)).toBe(true)

    const unknown = new RunIdentity(ALONE, wish, { ...OPEN, level: null }, nobody)
    void unknown.certificate(() => {}, never).catch(() => {})
    expect(await deskOf(unknown).answer(request)).toMatchObject({ ok: false, code: "unavailable" })
  })

  it("of result and error the first counts; afterwards nothing does", async () => {
    const desk = deskOf(new RunIdentity(ALONE, wish, OPEN, nobody))
    expect(await desk.answer({ op: "report", kind: "status", payload: "1" })).toEqual({ ok: true })
    expect(await desk.answer({ op: "report", kind: "error", payload: '{"n": 1.0}' })).toEqual({ ok: true })
    expect(await desk.answer({ op: "report", kind: "result", payload: "2" })).toMatchObject({
      ok: false,
      code: "ended"
    })
    expect(await desk.answer({ op: "report", kind: "status", payload: "{a}" })).toMatchObject({
      ok: false,
      code: "not_json"
    })
    expect(desk.said).toMatchObject({ kind: "error", payload: { text: '{"n": 1.0}' } })
    desk.close()
    expect(await desk.answer({ op: "whoami" })).toMatchObject({ ok: false, code: "ended" })
  })
})

describe("the socket of a run", () => {
  const folders: Array<string> = []
  const agents: Array<Agent> = []
  afterEach(() => {
    for (const agent of agents.splice(0)) agent.close()
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
  })
  const listen = async (answer: (request: AgentRequest) => AgentAnswer): Promise<string> => {
    const folder = mkdtempSync(join(tmpdir(), "agent-"))
    folders.push(folder)
    const path = join(folder, "socket")
    agents.push(await Agent.listen(path, answer))
    return path
  }
  const raw = async (path: string, text: string): Promise<string> => {
    const socket = connect({ path })
    socket.end(text)
    let answer = ""
    for await (const chunk of socket.setEncoding("utf8")) answer += chunk
    return answer
  }

  it("carries a payload of any form exactly", async () => {
    const seen: Array<AgentRequest> = []
    const path = await listen((request) => {
      seen.push(request)
      return { ok: true }
    })
    const payload = ` {\n "n": 12345678901234567890, "t": "${"ä".repeat(300_000)}" }\n`
    expect(await askAgent(path, { op: "report", kind: "status", payload })).toEqual({ ok: true })
    expect(seen).toEqual([{ op: "report", kind: "status", payload }])
  })

  it.each([
    "",
    "\n",
    "{}\n",
    "x\n",
    '{"op":"claim"}\n',
    '{"op":"child","appId":"x"}\n',
    '{"op":"toString"}\n',
    '{"op":"report","kind":"end"}\n1'
  ])("refuses %j with words", async (text) => {
    const path = await listen(() => ({ ok: true }))
    expect(JSON.parse(await raw(path, text))).toMatchObject({ ok: false, code: "bad_request" })
  })

  it("serves hundreds at once", async () => {
    const path = await listen(() => ({ ok: true }))
    const answers = await Promise.all(Array.from({ length: 300 }, () => askAgent(path, { op: "whoami" })))
    expect(answers.every(({ ok }) => ok)).toBe(true)
  })

  it("that is not there is told by its code", async () => {
    const error = await askAgent("/nowhere/socket", { op: "whoami" }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(AgentUnreachable)
    expect(error).toMatchObject({ code: "ENOENT" })
  })
})
