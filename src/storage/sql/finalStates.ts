import { FINAL } from "../../protocol/Final.ts"

/** For `status in (…)`. */
export const FINAL_STATES = FINAL.map((state) => `'${state}'`).join(", ")
