const milliseconds: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `90`, `1500ms`, `2s`, `5m`, `1h`, `7d` as milliseconds, a bare number being seconds (PROTOCOL §13); null: it is none. */
export const durationMs = (text: string): number | null => {
  const match = /^(\d{1,12}(?:\.\d{1,3})?)(ms|s|m|h|d)?$/.exec(text)
  return match === null ? null : Math.round(Number(match[1]) * (milliseconds[match[2] ?? "s"] ?? 1000))
}

/** Milliseconds as an operator would write them. */
export const showDuration = (ms: number): string => {
  for (const unit of ["d", "h", "m", "s"] as const) {
    const size = milliseconds[unit] ?? 1
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`
  }
  return ms === 0 ? "0" : `${ms}ms`
}
