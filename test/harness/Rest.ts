/** Unsigned REST calls, as `open` on a loopback listener allows them (PROTOCOL §9). */
export interface Answer {
  readonly status: number
  readonly body: unknown
}

export const rest = async (http: string, path: string, init: RequestInit = {}): Promise<Answer> => {
  const response = await fetch(`${http}/api/v1/${path}`, { signal: AbortSignal.timeout(15_000), ...init })
  const text = await response.text()
  return { status: response.status, body: text === "" ? null : (JSON.parse(text) as unknown) }
}

export const post = (http: string, path: string, body: unknown, init: RequestInit = {}): Promise<Answer> =>
  rest(http, path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    ...init
  })
