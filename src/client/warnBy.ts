import type { Platform } from "./Platform.ts"
import type { InitOptions } from "./TrailsNode.ts"

/** Tells the few things worth telling, and survives a log that fails: it may be called from anywhere. */
export const warnBy =
  (platform: Platform, { warn = platform.warn }: InitOptions) =>
  (text: string): void => {
    try {
      warn(text)
    } catch {
      // There is nobody left to tell.
    }
  }
