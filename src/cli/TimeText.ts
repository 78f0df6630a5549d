const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const two = (count: number): string => String(count).padStart(2, "0")

/** `350ms`, `4.2s`, `42s`, `3m05s`, `2h07m`, `3d04h`: two figures are enough for people. */
export const durationText = (milliseconds: number): string => {
  const ms = Math.max(0, Math.round(milliseconds))
  if (ms < SECOND) return `${ms}ms`
  if (ms < 10 * SECOND) return `${(Math.floor(ms / 100) / 10).toFixed(1)}s`
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)}s`
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)}m${two(Math.floor((ms % MINUTE) / SECOND))}s`
  if (ms < DAY) return `${Math.floor(ms / HOUR)}h${two(Math.floor((ms % HOUR) / MINUTE))}m`
  return `${Math.floor(ms / DAY)}d${two(Math.floor((ms % DAY) / HOUR))}h`
}

/** Local time of day, with the date where it is another day than `now`. */
export const clockText = (at: Date, now: Date): string => {
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
  return at.toDateString() === now.toDateString()
    ? time
    : `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`
}
