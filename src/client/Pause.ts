import type { Platform } from "./Platform.ts"

/** A time in which nothing is sent, because the server has asked for that. */
export class Pause {
  readonly #platform: Platform
  #isOn = false
  #stop: () => void = () => {}

  constructor(platform: Platform) {
    this.#platform = platform
  }

  get isOn(): boolean {
    return this.#isOn
  }

  /** From now; `then` is called when it is over, unless `end` comes before. */
  begin(milliseconds: number, then: () => void): void {
    this.end()
    this.#isOn = true
    this.#stop = this.#platform.later(milliseconds, () => {
      this.#isOn = false
      then()
    })
  }

  end(): void {
    this.#isOn = false
    this.#stop()
  }
}
