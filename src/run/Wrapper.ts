import { basename, delimiter, join } from "node:path"
import { Agent } from "./Agent.ts"
import { AgentDesk } from "./AgentDesk.ts"
import { exitCodeOf, within } from "./CommandProcess.ts"
import { type EndFacts, endPayload } from "./EndReport.ts"
import { leave } from "./leave.ts"
import type { RunIdentity } from "./RunIdentity.ts"
import { type Delivery, type LastWord, RunNode } from "./RunNode.ts"
import { WrappedCommand, type WrappedCommandOptions } from "./WrappedCommand.ts"

export interface WrapperOptions extends Pick<
  WrappedCommandOptions,
  "command" | "folder" | "foreground" | "graceMs" | "inherited" | "takesStderr" | "timeoutMs" | "warn"
> {
  readonly identity: RunIdentity
  readonly environment: NodeJS.ProcessEnv
  /** Folder of `trails` itself, for the command's PATH. */
  readonly binFolder: string
}

/** A run that was timed out never looks like a success; the code is that of timeout(1). */
const TIMED_OUT = 124
/** How long at least a cancelled run waits for whoever reads its stderr, milliseconds. */
const UNREAD_MS = 2000

const exitCode = ({ exit, timedOutAfterMs }: EndFacts): number => {
  const code = exitCodeOf(exit)
  return code === 0 && timedOutAfterMs !== null ? TIMED_OUT : code
}

/** What the command finds in its environment, besides what the wrapper found in its own. */
const environmentOf = (options: WrapperOptions, desk: AgentDesk, socket: string): NodeJS.ProcessEnv => {
  const { binFolder, environment, identity } = options
  const { TRAILS_INHERITED_FDS: _, ...others } = environment
  const { traceparent } = identity.home
  return {
    ...others,
    ...(identity.kind === "none" ? {} : { TRAILS_INFO: desk.commandInfo, TRAILS_AGENT: socket }),
    PATH: [binFolder, environment["PATH"]].filter(Boolean).join(delimiter),
    ...(traceparent === null ? {} : { TRACEPARENT: traceparent })
  }
}

const TROUBLE: Partial<Record<Delivery, string>> = {
  never: "nothing of it was reported",
  inherited: "its end is not delivered yet; a process in the background tries for 10 minutes"
}

/** What has gone wrong in the report, for people; null: nothing. It changes nothing else. */
const troubleOf = async (node: RunNode, word: LastWord | null): Promise<string | null> => {
  try {
    const trouble = TROUBLE[await node.end(word)]
    return trouble === undefined ? null : `${trouble} (${node.problem})`
  } catch (error) {
    return `${TROUBLE.never} (${String(error)})`
  }
}

/**
 * One run: a command, and the node that tells of it. The command is started before anything is known of the server, and its
 * exit code is the run's, whatever becomes of the report. Resolves when all that can be done about that is done; throws
 * what hinders a process from being started. Ends this process by itself where a cancelled run's stderr is not read.
 */
export const runWrapped = async (options: WrapperOptions): Promise<number> => {
  const { command, folder, graceMs, identity, warn } = options
  // The client and the socket keep no process alive.
  const alive = setInterval(() => {}, 2 ** 30)
  try {
    let isCancelled = false
    let wrapped: WrappedCommand | null = null
    const node = new RunNode({
      identity,
      executable: command[0]!,
      graceMs,
      warn,
      onCancel: async ({ remainingMs }) => {
        isCancelled = true
        const own = within(graceMs)
        await wrapped?.stop(() => Math.min(own(), remainingMs()))
        return wrapped === null ? null : endPayload(await wrapped.ended, null).payload
      }
    })
    const desk = new AgentDesk(identity, node, basename(command[0]!))
    // The socket has the run's id as its name (RunIdentity.ts).
    const socket = join(folder.path, identity.appId)
    const agent = await Agent.listen(socket, (request) => desk.answer(request))
    wrapped = await WrappedCommand.start({
      ...options,
      environment: environmentOf(options, desk, socket),
      onStatus: (status) => void node.status(status)
    })
    node.begin(wrapped.pid, wrapped.ended)
    const facts = await wrapped.ended
    desk.close()
    agent.close()
    const trouble = await troubleOf(node, isCancelled ? null : endPayload(facts, desk.said))
    // Whoever has cancelled it wants it gone, though nobody may read its stderr.
    const patience = isCancelled ? Math.max(UNREAD_MS, wrapped.remainingMs) : Infinity
    if (!(await wrapped.flush(patience))) {
      await folder.remove()
      leave(exitCode(facts))
    }
    // Behind whatever the command has written, with which it shares stderr.
    if (trouble !== null) warn(`${identity.name}: ${trouble}`)
    return exitCode(facts)
  } finally {
    clearInterval(alive)
    await folder.remove()
  }
}
