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
    return nodePlatform.connect(url, {
      ...events,
      opened: () => {
        isOpen = true
        events.opened()
      },
      closed: (reason) => {
        if (!isOpen) onFailure(reason)
        events.closed(reason)
      }
    })
  }
})
