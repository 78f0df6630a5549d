import type { Level } from "./Frames.ts"

/** Weakest first (PROTOCOL §1). */
export const LEVELS: ReadonlyArray<Level> = ["open", "signed", "encrypted", "full"]

export const isLevel = (value: unknown): value is Level =>
  value === "open" || value === "signed" || value === "encrypted" || value === "full"

/** What this version can enforce: a node is never admitted at a level that is only a name. */
export const STRONGEST: Level = "signed"

/** True when `level` protects less than `floor` asks for. */
export const isWeaker = (level: Level, floor: Level): boolean => LEVELS.indexOf(level) < LEVELS.indexOf(floor)
