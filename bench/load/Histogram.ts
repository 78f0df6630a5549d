/** Buckets per power of two: a bucket is at most 1/64 of its value wide. */
const PRECISION_BITS = 6
const PER_OCTAVE = 1 << PRECISION_BITS
/** Microseconds: 71 minutes. What took longer counts as that. */
const MOST = 2 ** 32 - 1
const BUCKETS = (32 - PRECISION_BITS + 1) * PER_OCTAVE

/** Microseconds; exact below 64, then in steps that grow with the value. */
const bucketOf = (value: number): number => {
  if (value < PER_OCTAVE) return value
  const shift = 31 - Math.clz32(value) - PRECISION_BITS
  return (shift + 1) * PER_OCTAVE + (value >>> shift) - PER_OCTAVE
}

/** The middle of a bucket, microseconds. */
const middleOf = (bucket: number): number => {
  if (bucket < PER_OCTAVE) return bucket
  const shift = Math.floor(bucket / PER_OCTAVE) - 1
  const lowest = (PER_OCTAVE + (bucket % PER_OCTAVE)) * 2 ** shift
  return lowest + (2 ** shift - 1) / 2
}

/** What a histogram is between processes. */
export interface HistogramCounts {
  /** Bucket and count, of those that are not empty. */
  readonly buckets: ReadonlyArray<readonly [bucket: number, count: number]>
  readonly maxMs: number
}

/**
 * Latencies in log-linear buckets, as HdrHistogram has them: memory does not depend on how many are recorded, a
 * percentile is wrong by less than 1 %, and those of several processes can be added.
 */
export class Histogram {
  readonly #counts = new Float64Array(BUCKETS)
  #total = 0
  #maxMs = 0

  get total(): number {
    return this.#total
  }

  get maxMs(): number {
    return this.#maxMs
  }

  record(ms: number): void {
    const micros = Math.min(MOST, Math.max(0, Math.round(ms * 1000)))
    this.#counts[bucketOf(micros)]!++
    this.#total++
    if (ms > this.#maxMs) this.#maxMs = ms
  }

  /** Milliseconds that `percent` of what was recorded do not exceed; 0 when nothing was. */
  percentile(percent: number): number {
    const rank = Math.max(1, Math.ceil((this.#total * percent) / 100))
    let seen = 0
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#counts[bucket]!
      if (seen >= rank) return Math.min(middleOf(bucket) / 1000, this.#maxMs)
    }
    return 0
  }

  add({ buckets, maxMs }: HistogramCounts): void {
    for (const [bucket, count] of buckets) {
      this.#counts[bucket]! += count
      this.#total += count
    }
    this.#maxMs = Math.max(this.#maxMs, maxMs)
  }

  toCounts(): HistogramCounts {
    const buckets = [...this.#counts].flatMap((count, bucket) => (count === 0 ? [] : [[bucket, count] as const]))
    return { buckets, maxMs: this.#maxMs }
  }
}
