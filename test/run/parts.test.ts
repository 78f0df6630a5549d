import {
  fstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { JsonText } from "../../src/client/JsonText.ts"
import { type EndFacts, endPayload } from "../../src/run/EndReport.ts"
import { PipeReader } from "../../src/run/PipeReader.ts"
import { close, NoFolder, PrivateFolder } from "../../src/run/PrivateFolder.ts"
import { StatusLines } from "../../src/run/StatusLines.ts"
import { StderrTail } from "../../src/run/StderrTail.ts"

describe("the tail of stderr", () => {
  const tailOf = (...chunks: ReadonlyArray<string | Buffer>): string | null => {
    const tail = new StderrTail()
    for (const chunk of chunks) tail.push(Buffer.from(chunk))
    return tail.text
  }

  it("is null when nothing was written, and whole when little was", () => {
    expect(tailOf()).toBeNull()
    expect(tailOf("a\tb\r\n", "ä\n")).toBe("a\tb\nä\n")
  })

  it.each([1, 7, 4095, 4096, 4097, 100_000])("is the last 4096 bytes, in chunks of %i", (size) => {
    const text = Array.from({ length: 10_000 }, (_, index) => String.fromCharCode(97 + (index % 26))).join("")
    const chunks = Array.from({ length: Math.ceil(text.length / size) }, (_, index) =>
      text.slice(index * size, (index + 1) * size)
    )
    expect(tailOf(...chunks)).toBe(text.slice(-4096))
  })

  it.each(["ä", "€", "😀"])("begins with a whole character: %s", (character) => {
    for (let shift = 0; shift < 4; shift++) {
      const tail = tailOf("x".repeat(shift), character.repeat(3000))
      expect(tail).toMatch(new RegExp(`^(?:${character})+$`, "u"))
    }
  })

  it("is valid text, and shows what would act on a terminal", () => {
    expect(tailOf(Buffer.from([0x61, 0xff, 0x62]))).toBe("a\ufffdb")
    expect(tailOf("\u001b[2J\u0007\u0000 \u202eabc \u009b")).toBe("\\x1b[2J\\x07\\x00 \\u{202e}abc \\x9b")
  })
})

describe("status lines", () => {
  const read = (...chunks: ReadonlyArray<string>) => {
    const seen: Array<string> = []
    const problems: Array<string> = []
    const lines = new StatusLines(
      ({ text }) => void seen.push(text),
      (problem) => void problems.push(problem)
    )
    for (const chunk of chunks) lines.push(Buffer.from(chunk))
    lines.finish()
    return { seen, problems, ignored: lines.ignored }
  }

  it("come in any pieces, with every digit, the last without its line feed", () => {
    const text = '{"n": 12345678901234567890}\n[1,\t2]\r\n\n"ä"\n null'
    const whole = ['{"n": 12345678901234567890}', "[1,\t2]", '"ä"', "null"]
    expect(read(text).seen).toEqual(whole)
    expect(read(...text.split("")).seen).toEqual(whole)
  })

  it("that are no JSON are counted and named by their number", () => {
    expect(read("1\n{a:1}\n2\nx\n")).toEqual({
      seen: ["1", "2"],
      problems: ["line 2 on TRAILS_STATUS_FD is not JSON", "line 4 on TRAILS_STATUS_FD is not JSON"],
      ignored: 2
    })
  })

  it("of any length take bounded memory", () => {
    const chunk = "x".repeat(1024 * 1024)
    const { ignored, problems, seen } = read(...Array.from({ length: 20 }, () => chunk), "\n3\n")
    expect({ ignored, seen }).toEqual({ ignored: 1, seen: ["3"] })
    expect(problems[0]).toMatch(/^line 1 .* is longer than/)
  })
})

describe("the end of a run", () => {
  const facts: EndFacts = {
    exit: { code: 0, signal: null },
    durationMs: 12.6,
    peakRssKib: null,
    stderrTail: "oh\n",
    timedOutAfterMs: null,
    forced: false,
    statusLinesIgnored: 0
  }
  const end = (changes: Partial<EndFacts>, said: Parameters<typeof endPayload>[1] = null) => {
    const { kind, payload } = endPayload({ ...facts, ...changes }, said)
    return `${kind} ${payload.text}`
  }
  const rows = { kind: "result" as const, payload: JsonText.parse('{"rows": 1.50}')! }
  const why = { kind: "error" as const, payload: JsonText.parse('"why"')! }

  it.each([
    ["good", end({ peakRssKib: 7 }), 'Result {"exit_code":0,"duration_ms":13,"peak_rss_kb":7}'],
    ["good, with a result", end({}, rows), 'Result {"exit_code":0,"duration_ms":13,"result":{"rows": 1.50}}'],
    [
      "good, with an error",
      end({}, why),
      'Error {"message":"the command reported an error","exit_code":0,"duration_ms":13,"stderr_tail":"oh\\n","error":"why"}'
    ],
    [
      "bad, with a result",
      end({ exit: { code: 2, signal: null } }, rows),
      'Error {"message":"exit code 2","exit_code":2,"duration_ms":13,"stderr_tail":"oh\\n","result":{"rows": 1.50}}'
    ],
    [
      "by a signal, without stderr",
      end({ exit: { code: null, signal: "SIGSEGV" }, stderrTail: null }),
      'Error {"message":"killed by SIGSEGV","signal":"SIGSEGV","duration_ms":13}'
    ],
    [
      "too late, though well",
      end({ timedOutAfterMs: 1500, stderrTail: null, forced: true, statusLinesIgnored: 3 }),
      'Error {"message":"timed out after 1.5 s (exit code 0)","exit_code":0,"duration_ms":13,"timed_out":true,"forced":true,"status_lines_ignored":3}'
    ]
  ])("%s", (_, seen, expected) => expect(seen).toBe(expected))
})

describe("a pipe's reader", () => {
  it("reads nothing from its descriptor's number when that may be another file's already", async () => {
    const folder = new PrivateFolder(1)
    const [pipe] = await folder.pipes(["polling"])
    const file = join(folder.path, "other")
    writeFileSync(file, "another's")
    const seen: Array<string> = []
    const reader = new PipeReader(pipe!.read, (chunk) => void seen.push(chunk.toString()))
    writeSync(pipe!.write, "word")
    close(pipe!.write)
    const isClosed = (): boolean => {
      try {
        return fstatSync(pipe!.read).isFIFO() === false
      } catch {
        return true
      }
    }
    // In the very turn of the event loop in which the number becomes free.
    while (!isClosed()) await new Promise(setImmediate)
    const opened = [openSync(file, "r")]
    while (opened.at(-1)! < pipe!.read) opened.push(openSync(file, "r"))
    reader.finish()
    for (const descriptor of opened) close(descriptor)
    await folder.remove()
    expect(seen).toEqual(["word"])
  })
})

describe("the folder of a run", () => {
  it("lets in its user alone, holds pipes without names, and goes", async () => {
    const place = mkdtempSync(join(tmpdir(), "place-"))
    const folder = new PrivateFolder(2, [join(place, "missing"), place])
    expect(folder.path.startsWith(place)).toBe(true)
    expect(statSync(folder.path).mode & 0o777).toBe(0o700)
    const [polling, blocking] = await folder.pipes(["polling", "blocking"])
    expect(readdirSync(folder.path)).toEqual([])
    const buffer = Buffer.alloc(8)
    expect(() => readSync(polling!.read, buffer)).toThrow(/EAGAIN/)
    for (const pipe of [polling!, blocking!]) {
      writeSync(pipe.write, "word")
      expect(readSync(pipe.read, buffer)).toBe(4)
      close(pipe.read)
      close(pipe.write)
    }
    await folder.remove()
    expect(() => statSync(folder.path)).toThrow(/ENOENT/)
    rmSync(place, { recursive: true })
  })

  it("goes as well when its pipes were never used", async () => {
    const folder = new PrivateFolder(3)
    await folder.remove()
    expect(() => statSync(folder.path)).toThrow(/ENOENT/)
  })

  it("tells in mkfifo's words why there are no pipes", async () => {
    const folder = new PrivateFolder(1)
    rmSync(folder.path, { recursive: true, maxRetries: 10 })
    // Made all the same where mkfifo was quicker than the removal: gone with the folder.
    await expect(folder.pipes(["polling"])).rejects.toThrow(/No such file|ENOENT/)
  })

  it("is not made where the socket's path would be too long, or nothing can be written", () => {
    const long = join("/tmp", "x".repeat(100))
    expect(() => new PrivateFolder(1, [long])).toThrow(new NoFolder("no place is short enough for a Unix socket"))
    expect(() => new PrivateFolder(1, ["/proc/nowhere"])).toThrow(NoFolder)
  })
})
