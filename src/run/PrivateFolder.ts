import { execFileSync, spawn } from "node:child_process"
import { closeSync, constants, mkdtempSync, openSync, rmSync, unlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** Of the path of a Unix socket, bytes, its closing zero left out. */
const SOCKET_PATH = 107
/** Of the socket's name: the id of the run. Bytes. */
const SOCKET_NAME = 36

/** There is no folder for what a run needs beside its command. */
export class NoFolder extends Error {}

/** Both ends of a pipe whose name is gone. Close what is not handed on. */
export interface Pipe {
  readonly read: number
  readonly write: number
}

const mkfifo = (paths: ReadonlyArray<string>): ReadonlyArray<string> => ["-m", "600", "--", ...paths]

/**
 * A folder of this user alone (0700): for the socket of the run, and for its pipes. Node itself can make no pipe, only
 * pairs of sockets, and a command that opens `/dev/stderr` or `/dev/fd/3` can't open a socket.
 */
export class PrivateFolder {
  readonly path: string
  readonly #pipes: ReadonlyArray<string>
  readonly #areMade: Promise<boolean>

  /** Begins to make its pipes beside whatever comes next. Throws `NoFolder`. */
  constructor(pipes: number, places: ReadonlyArray<string> = [process.env["XDG_RUNTIME_DIR"] ?? "", tmpdir(), "/tmp"]) {
    this.path = PrivateFolder.#make(places)
    this.#pipes = Array.from({ length: pipes }, (_, index) => join(this.path, `pipe${index}`))
    const making = spawn("mkfifo", mkfifo(this.#pipes), { stdio: "ignore" })
    this.#areMade = new Promise((resolve) => {
      making.once("error", () => resolve(false)).once("exit", (code) => resolve(code === 0))
    })
  }

  static #make(places: ReadonlyArray<string>): string {
    let problem = "no place is short enough for a Unix socket"
    for (const place of places) {
      const longest = Buffer.byteLength(join(place, "trails-XXXXXX/")) + SOCKET_NAME
      if (place === "" || longest > SOCKET_PATH) continue
      try {
        return mkdtempSync(join(place, "trails-"))
      } catch (error) {
        problem = (error as Error).message
      }
    }
    throw new NoFolder(problem)
  }

  /** All of its pipes; one for each reader. A shell reads `blocking`, Node does not. Rejects with what mkfifo says. */
  async pipes(readers: ReadonlyArray<"blocking" | "polling">): Promise<ReadonlyArray<Pipe>> {
    if (!(await this.#areMade)) {
      for (const path of this.#pipes) rmSync(path, { force: true })
      execFileSync("mkfifo", mkfifo(this.#pipes), { stdio: ["ignore", "ignore", "pipe"] })
    }
    return this.#pipes.map((path, index) => {
      // Opening for writing waits for a reader, opening for reading for a writer; polling does not.
      const polling = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
      const write = openSync(path, constants.O_WRONLY)
      const read = readers[index] === "polling" ? polling : openSync(path, constants.O_RDONLY)
      if (read !== polling) closeSync(polling)
      unlinkSync(path)
      return { read, write }
    })
  }

  async remove(): Promise<void> {
    await this.#areMade
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
