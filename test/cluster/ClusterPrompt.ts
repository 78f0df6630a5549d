import type { Cluster } from "./Cluster.ts"
import { type ClusterCommand, clusterHelp, readClusterCommand } from "./ClusterCommand.ts"
import { ClusterError } from "./ClusterError.ts"
import { stateText } from "./ClusterScreen.ts"

/** What became of a line: text for whoever typed it, whether it went wrong, and whether it was the last. */
export interface Said {
  readonly text: string
  readonly failed: boolean
  readonly quit: boolean
}

const said = (text: string): Said => ({ text, failed: false, quit: false })

const seconds = (milliseconds: number): string => `${milliseconds / 1000} s`

const obey = async (cluster: Cluster, command: ClusterCommand): Promise<Said> => {
  switch (command.verb) {
    case "nothing":
      return said("")
    case "help":
      return said(clusterHelp())
    case "state":
      return said(stateText(await cluster.state()))
    case "quit":
      return { text: "", failed: false, quit: true }
    case "kill":
      await cluster.kill(command.name)
      return said(`${command.name} is dead; restart ${command.name} starts it`)
    case "restart":
      await cluster.restart(command.name)
      return said(`${command.name} is up, pid ${cluster.member(command.name).pid}`)
    case "pause": {
      const { milliseconds, name } = command
      cluster.pause(name, milliseconds)
      return said(`${name} is paused ${milliseconds === undefined ? `until resume` : `for ${seconds(milliseconds)}`}`)
    }
    case "resume":
      cluster.resume(command.name)
      return said(`${command.name ?? "everything"} goes on`)
    case "cut":
      cluster.cut(command.name, command.link, command.mode)
      return said(`${command.name} is cut from ${command.link} (${command.mode}) until heal`)
    case "delay":
      cluster.delay(command.name, command.link, command.milliseconds)
      return said(`${command.name} and ${command.link}: ${seconds(command.milliseconds)} more, each way, until heal`)
    case "lose":
      cluster.lose(command.name, command.link, command.rate)
      return said(`${command.name} and ${command.link}: ${command.rate * 100} % is lost, until heal`)
    case "heal":
      cluster.heal(command.name)
      return said(`${command.name ?? "every replica"} has whole links`)
  }
}

/** Reads a line and does what it says. What can't be done is said, and ends nothing. */
export const runClusterLine = async (cluster: Cluster, line: string): Promise<Said> => {
  try {
    return await obey(cluster, readClusterCommand(line))
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    return { text: error instanceof ClusterError ? `no: ${text}` : `it failed: ${text}`, failed: true, quit: false }
  }
}
