import { nodePlatform } from "../client/NodePlatform.ts"
import type { Platform } from "../client/Platform.ts"

/** The process that the tree shows. */
export interface ShownProcess {
  readonly pid: number
  readonly ppid: number
  readonly executable: string
}

/** Node's, as a node that is another process: the command and not its wrapper. `onFailure`: no connection came about. */
export const runPlatform = (shown: ShownProcess, onFailure: (reason: string) => void = () => {}): Platform => ({
  ...nodePlatform,
  processInfo: () => ({ ...nodePlatform.processInfo(), ...shown }),
  connect: (url, events) => {
    let isOpen = false
    let isDropped = false
    const socket = nodePlatform.connect(url, {
      ...events,
      opened: () => {
        isOpen = true
        events.opened()
      },
      closed: (reason) => {
        // One that was not waited for any longer, since another one has come about, has not failed.
        if (!isOpen && !isDropped) onFailure(reason)
        events.closed(reason)
      }
    })
    return {
      ...socket,
      terminate: () => {
        isDropped = true
        socket.terminate()
      }
    }
  }
})
