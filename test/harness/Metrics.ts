/** Samples of a Prometheus page, by name with its labels as printed. */
export type Metrics = ReadonlyMap<string, number>

export const parseMetrics = (page: string): Metrics => {
  const found = new Map<string, number>()
  for (const line of page.split("\n")) {
    if (line === "" || line.startsWith("#")) continue
    const at = line.lastIndexOf(" ")
    found.set(line.slice(0, at), Number(line.slice(at + 1)))
  }
  return found
}

export const readMetrics = async (http: string): Promise<Metrics> => {
  const response = await fetch(`${http}/metrics`, { signal: AbortSignal.timeout(10_000) })
  if (!response.ok) throw new Error(`/metrics answered ${response.status}`)
  return parseMetrics(await response.text())
}

/** The sum over all label sets of one metric; fails when it is not on the page. */
export const metric = (metrics: Metrics, name: string): number => {
  let sum = 0
  let seen = false
  for (const [key, value] of metrics) {
    if (key !== name && !key.startsWith(`${name}{`)) continue
    sum += value
    seen = true
  }
  if (!seen) throw new Error(`no metric ${name} on /metrics`)
  return sum
}
