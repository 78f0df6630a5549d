/** Bytes (issue: the last 4 KiB). */
const BYTES = 4096

// Controls but for tab and line feed; format characters, which make a terminal show another text than there is.
const UNSAFE = /(?![\n\t])\p{Cc}|[\p{Cf}\p{Zl}\p{Zp}]/gu

const escaped = (character: string): string => {
  const code = character.codePointAt(0) ?? 0
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`
}

/** The last bytes of a stream. */
export class StderrTail {
  #chunks: Array<Buffer> = []
  #size = 0
  #total = 0

  push(chunk: Buffer): void {
    this.#total += chunk.length
    this.#chunks.push(chunk.length > BYTES ? chunk.subarray(-BYTES) : chunk)
    this.#size += Math.min(chunk.length, BYTES)
    while (this.#size - (this.#chunks[0]?.length ?? 0) >= BYTES) this.#size -= this.#chunks.shift()!.length
  }

  /** Valid UTF-8 that begins with a whole character, safe to print; null: nothing was written. */
  get text(): string | null {
    if (this.#total === 0) return null
    let bytes = Buffer.concat(this.#chunks).subarray(-BYTES)
    if (this.#total > bytes.length) {
      let start = 0
      while (start < 3 && ((bytes[start] ?? 0) & 0xc0) === 0x80) start++
      bytes = bytes.subarray(start)
    }
    return bytes.toString("utf8").replaceAll("\r\n", "\n").replace(UNSAFE, escaped)
  }
}
