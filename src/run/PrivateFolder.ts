import { execFileSync } from "node:child_process"
import { closeSync, constants, mkdtempSync, openSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** Of the path of a Unix socket, bytes, its closing zero left out. */
const SOCKET_PATH = 107

/** There is no folder for what a run needs beside its command. */
export class NoFolder extends Error {}

/** Both ends of a pipe whose name is gone. Close what is not handed on. */
export interface Pipe {
  readonly read: number
  readonly write: number
}

/**
 * A folder of this user alone (0700): for the socket of the run, and for its pipes. Node itself can make no pipe, only
 * pairs of sockets, and a command that opens `/dev/stderr` or `/dev/fd/3` can't open a socket.
 */
export class PrivateFolder {
  readonly path: string

  /** `socket`: name of the Unix socket that is to be in it. Throws `NoFolder`. */
  constructor(
    socket: string,
    places: ReadonlyArray<string> = [process.env["XDG_RUNTIME_DIR"] ?? "", tmpdir(), "/tmp"]
  ) {
    let problem = "no place is short enough for a Unix socket"
    for (const place of places) {
      if (place === "" || Buffer.byteLength(join(place, "trails-XXXXXX", socket)) > SOCKET_PATH) continue
      try {
        this.path = mkdtempSync(join(place, "trails-"))
        return
      } catch (error) {
        problem = (error as Error).message
      }
    }
    throw new NoFolder(problem)
  }

  /** One for each reader. A shell reads `blocking`, Node does not. */
  pipes(readers: ReadonlyArray<"blocking" | "polling">): ReadonlyArray<Pipe> {
    const paths = readers.map((_, index) => join(this.path, `pipe${index}`))
    execFileSync("mkfifo", ["-m", "600", ...paths], { stdio: ["ignore", "ignore", "pipe"] })
    return paths.map((path, index) => {
      // Opening for writing waits for a reader, opening for reading for a writer; polling does not.
      const polling = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
      const write = openSync(path, constants.O_WRONLY)
      const read = readers[index] === "polling" ? polling : openSync(path, constants.O_RDONLY)
      if (read !== polling) closeSync(polling)
      rmSync(path)
      return { read, write }
    })
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true })
  }
}

export const close = (descriptor: number): void => {
  try {
    closeSync(descriptor)
  } catch {
    // Closed already.
  }
}
