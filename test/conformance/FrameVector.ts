export interface GoodFrameVector {
  readonly name: string
  readonly dialect: "v1" | "legacy"
  readonly text: string
  readonly ok: true
  /** What the frame says. Members of the text that are not here are ignored by a receiver. */
  readonly frame: Readonly<Record<string, unknown>>
  /** Exact text of the application's value. */
  readonly payload: string | null
}

export interface BadFrameVector {
  readonly name: string
  readonly dialect: "v1" | "legacy"
  readonly text: string
  readonly ok: false
  readonly code: string
  /** The receiver has to close the socket: it is not JSON. */
  readonly fatal: boolean
  readonly app_id?: string
  readonly seq?: number
}

export interface ServerFrameVector {
  readonly name: string
  readonly text: string
  readonly ok: boolean
  readonly frame?: Readonly<Record<string, unknown>>
  readonly payload?: string | null
}
