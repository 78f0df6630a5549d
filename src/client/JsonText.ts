/**
 * JSON that somebody else has written, to be reported exactly as it is: a value that went through `JSON.parse` would have
 * lost digits of its large numbers, and its spelling (PROTOCOL §3).
 */
export class JsonText {
  readonly text: string

  private constructor(text: string) {
    this.text = text
  }

  /** Null: it is not JSON. White space around it is left out. */
  static parse(text: string): JsonText | null {
    try {
      JSON.parse(text)
      return new JsonText(text.trim())
    } catch {
      return null
    }
  }
}
