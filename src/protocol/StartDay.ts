const DAY = 86_400_000
/** 2025-01-01T00:00:00Z */
const FIRST = 1_735_689_600_000

/** Whole UTC days since 2025-01-01 (PROTOCOL §1); negative before. `at` is epoch milliseconds. */
export const startDay = (at: number): number => Math.floor((at - FIRST) / DAY)

/** Epoch milliseconds of the day's first moment. */
export const startOfDay = (day: number): number => FIRST + day * DAY
