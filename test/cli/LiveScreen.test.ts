import { EventEmitter } from "node:events"
import type { WriteStream } from "node:tty"
import { describe, expect, it } from "vitest"
import { LiveScreen } from "../../src/cli/LiveScreen.ts"

/** As much of a terminal as is written to: a grid of lines and a cursor. */
class Terminal extends EventEmitter {
  columns = 40
  rows = 6
  lines: Array<string> = []
  cursorShown = true
  #at = 0

  write(text: string): boolean {
    // oxlint-disable-next-line no-control-regex
    for (const [piece] of text.matchAll(/\u001b\[[?\d;]*[A-Za-z]|\n|\r|[^\u001b\n\r]+/g)) this.#take(piece)
    return true
  }

  #take(piece: string): void {
    const up = /\[(\d+)A$/.exec(piece)
    if (up !== null) this.#at -= Number(up[1])
    else if (piece === "\n") this.#at++
    else if (piece === "\u001b[K") return
    else if (piece === "\u001b[J") this.lines.length = Math.min(this.lines.length, this.#at)
    else if (piece === "\u001b[2J") this.lines = []
    else if (piece === "\u001b[H") this.#at = 0
    else if (piece.includes("?25")) this.cursorShown = piece.endsWith("h")
    else if (piece !== "\r") this.lines[this.#at] = piece
  }
}

const screenOn = (terminal: Terminal, redraw = () => {}) => new LiveScreen(terminal as unknown as WriteStream, redraw)

describe("a screen that is drawn again in place", () => {
  it("leaves nothing behind of longer drawings, and what stood above untouched", () => {
    const terminal = new Terminal()
    terminal.write("before\n")
    const screen = screenOn(terminal)
    screen.draw(["a", "b", "c"])
    screen.draw(["d", "e"])
    expect(terminal.lines).toEqual(["before", "d", "e"])
    screen.draw(["f", "g", "h"])
    expect(terminal.lines).toEqual(["before", "f", "g", "h"])
  })

  it("hides the cursor meanwhile, and gives it back", () => {
    const terminal = new Terminal()
    const screen = screenOn(terminal)
    expect(terminal.cursorShown).toBe(false)
    screen.stop()
    expect(terminal.cursorShown).toBe(true)
    expect(terminal.listenerCount("resize")).toBe(0)
  })

  it("says how many lines there is no room for", () => {
    const terminal = new Terminal()
    screenOn(terminal).draw(["1", "2", "3", "4", "5", "6", "7", "8"])
    expect(terminal.lines).toEqual(["1", "2", "3", "4", "… 4 lines more"])
  })

  it("draws where the terminal does not know its size", () => {
    const terminal = new Terminal()
    terminal.columns = terminal.rows = 0
    const screen = screenOn(terminal)
    expect(screen.width).toBe(80)
    screen.draw(["a", "b"])
    expect(terminal.lines).toEqual(["a", "b"])
  })

  it("begins anew in another width: the terminal has wrapped what stood there", () => {
    const terminal = new Terminal()
    let redrawn = 0
    const screen = screenOn(terminal, () => redrawn++)
    screen.draw(["a", "b"])
    terminal.columns = 20
    terminal.emit("resize")
    expect(redrawn).toBe(1)
    screen.draw(["c", "d"])
    expect(terminal.lines).toEqual(["c", "d"])
  })
})
