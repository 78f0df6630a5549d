import { ENDED } from "../../protocol/Ended.ts"

/** For `status in (…)`. */
export const ENDED_STATES = ENDED.map((state) => `'${state}'`).join(", ")
