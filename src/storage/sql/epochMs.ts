/** A time as epoch milliseconds. */
export const epochMs = (column: string): string => `(extract(epoch from ${column}) * 1000)::int8`
