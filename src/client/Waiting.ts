import type { Platform } from "./Platform.ts"

/** Those who wait for something to become true. `look` is called whenever it may have. */
export class Waiting {
  readonly #platform: Platform
  readonly #looks = new Set<() => void>()

  constructor(platform: Platform) {
    this.#platform = platform
  }

  look(): void {
    for (const look of [...this.#looks]) look()
  }

  /** Until `done`, or for so many milliseconds; keeps the process alive meanwhile. */
  until(done: () => boolean, timeoutMs: number | undefined): Promise<void> {
    if (done()) return Promise.resolve()
    return new Promise((resolve) => {
      const letGo = this.#platform.keepAlive()
      const finish = (): void => {
        this.#looks.delete(look)
        stopTimer()
        letGo()
        resolve()
      }
      const look = (): void => {
        if (done()) finish()
      }
      const stopTimer = timeoutMs === undefined ? () => {} : this.#platform.later(timeoutMs, finish)
      this.#looks.add(look)
    })
  }
}
