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
  /** Of this incarnation. Later changes are told in each session anew: one may have been lost. */
  #registered = membersOf({ names: [], graceMs: null })
  #isDue = false

  constructor(platform: Platform, capable: () => Capable) {
    this.#platform = platform
    this.#capable = capable
  }

  /** For a registration. */
  register(): CapableMembers {
    this.#registered = membersOf(this.#capable())
    return this.#registered
  }

  /** Null: the registration has told just that. */
  get change(): CapableMembers | null {
    const members = membersOf(this.#capable())
    return JSON.stringify(members) === JSON.stringify(this.#registered) ? null : members
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
