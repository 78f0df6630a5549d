import type { Platform } from "./Platform.ts"

/** Actions that a node answers, and what its cancel hook may need, milliseconds. */
export interface Capable {
  readonly names: ReadonlyArray<string>
  readonly graceMs: number | null
}

export interface CapableMembers {
  readonly capabilities: ReadonlyArray<string>
  readonly cancel_grace_ms?: number
}

const membersOf = ({ graceMs, names }: Capable): CapableMembers => ({
  capabilities: names,
  ...(graceMs === null ? {} : { cancel_grace_ms: graceMs })
})

/** What the server knows of what a node takes: from its registration, or told later. */
export class Advertisement {
  readonly #platform: Platform
  readonly #capable: () => Capable
  /** What the server was told last, as JSON; null: it may not have got it. */
  #told: string | null = JSON.stringify(membersOf({ names: [], graceMs: null }))
  /** The session in which that was; null: by the registration. */
  #session: string | null = null
  #isDue = false

  constructor(platform: Platform, capable: () => Capable) {
    this.#platform = platform
    this.#capable = capable
  }

  /** For a registration. */
  register(): CapableMembers {
    const members = membersOf(this.#capable())
    this.#told = JSON.stringify(members)
    this.#session = null
    return members
  }

  /** What is to be told in this session now; null: the server knows. */
  take(session: string): CapableMembers | null {
    // Nothing answers it: what was told in an earlier session may have been lost with that.
    if (this.#session !== null && this.#session !== session) this.#told = null
    const members = membersOf(this.#capable())
    const told = JSON.stringify(members)
    if (told === this.#told) return null
    this.#told = told
    this.#session = session
    return members
  }

  /** Several changes in one turn are told together. */
  soon(tell: () => void): void {
    if (this.#isDue) return
    this.#isDue = true
    this.#platform.soon(() => {
      this.#isDue = false
      tell()
    })
  }
}
