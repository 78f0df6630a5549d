import type { Level } from "../protocol/Frames.ts"
import { isWeaker, STRONGEST } from "../protocol/Level.ts"

/** Why no node of `level` can be had here, or null: a level that is only a name would be taken for protection. */
export const levelProblem = (level: Level): string | null =>
  isWeaker(STRONGEST, level)
    ? `this version has no level ${level} yet; the strongest is ${STRONGEST}: use that, or wait for a later version`
    : null
