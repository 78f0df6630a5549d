/**
 * Series for hot paths: plain numbers that cost an addition. The metric registry reads them when it is rendered.
 */

export class Counter {
  count = 0

  add(amount = 1): void {
    this.count += amount
  }
}

/** Labels beyond this many share one series: a label that a peer can choose must not grow the registry. */
const MAX_LABELS = 64

const OVERFLOW_LABEL = "other"

/** Counters of one name, told apart by one label. Keep the series of a label that is known in advance. */
export class CounterFamily {
  readonly #series = new Map<string, Counter>()
  readonly #opened: (label: string, series: Counter) => void

  /** `opened` is called once for each new label. */
  constructor(opened: (label: string, series: Counter) => void) {
    this.#opened = opened
  }

  of(label: string): Counter {
    const known = this.#series.get(label)
    if (known !== undefined) return known
    if (this.#series.size >= MAX_LABELS && label !== OVERFLOW_LABEL) return this.of(OVERFLOW_LABEL)
    const series = new Counter()
    this.#series.set(label, series)
    this.#opened(label, series)
    return series
  }

  add(label: string, amount = 1): void {
    this.of(label).add(amount)
  }
}

export interface HistogramState {
  /** `[upper bound, cumulative count]`, ascending. */
  readonly buckets: ReadonlyArray<[number, number]>
  readonly count: number
  readonly min: number
  readonly max: number
  readonly sum: number
}

/** Counts observations by upper bound (inclusive, as Prometheus reads `le`). */
export class Histogram {
  readonly #bounds: ReadonlyArray<number>
  readonly #counts: Array<number>
  #count = 0
  #sum = 0
  #min = Number.POSITIVE_INFINITY
  #max = Number.NEGATIVE_INFINITY

  /** `bounds` ascending. */
  constructor(bounds: ReadonlyArray<number>) {
    this.#bounds = bounds
    this.#counts = bounds.map(() => 0)
  }

  record(value: number): void {
    this.#count++
    this.#sum += value
    if (value < this.#min) this.#min = value
    if (value > this.#max) this.#max = value
    const bounds = this.#bounds
    for (let i = 0; i < bounds.length; i++) {
      if (value <= bounds[i]!) {
        this.#counts[i]!++
        return
      }
    }
  }

  state(): HistogramState {
    let cumulative = 0
    return {
      buckets: this.#bounds.map((bound, i): [number, number] => [bound, (cumulative += this.#counts[i]!)]),
      count: this.#count,
      min: this.#count === 0 ? 0 : this.#min,
      max: this.#count === 0 ? 0 : this.#max,
      sum: this.#sum
    }
  }
}
