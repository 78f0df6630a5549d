import type { Level } from "./Frames.ts"

/** Weakest first (PROTOCOL §1). */
export const LEVELS: ReadonlyArray<Level> = ["open", "signed", "encrypted", "full"]

export const isLevel = (value: unknown): value is Level =>
  value === "open" || value === "signed" || value === "encrypted" || value === "full"

/** True when `level` protects less than `floor` asks for. */
export const isWeaker = (level: Level, floor: Level): boolean => LEVELS.indexOf(level) < LEVELS.indexOf(floor)
