import type { IncomingHttpHeaders, request } from "node:http"

export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** No answer, or none that is HTTP. `code` is Node's (`ECONNREFUSED` …), or `TIMEOUT`, `TOO_LARGE`, `ABORTED`. */
export class HttpFailure extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.name = "HttpFailure"
    this.code = code
  }
}

/** Bytes of an answer: pages are bounded by the server, so whoever sends more is no trailsd. */
const LARGEST = 256 * 1024 * 1024

export interface HttpOptions {
  readonly headers: Readonly<Record<string, string>>
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
  /** Default: GET. */
  readonly method?: "GET" | "POST"
  readonly body?: string
}

/** Not by `import`: that reads all that node:http exports, `WebSocket` among it, which loads half as much again as all of Node. */
const requestOver = (protocol: string): typeof request =>
  protocol === "https:" ? process.getBuiltinModule("node:https").request : process.getBuiltinModule("node:http").request

/**
 * One request. node:http and not fetch: it loads in a third of the time, and takes every port. `timeoutMs` bounds the whole
 * of it. Rejects with HttpFailure only.
 */
export const httpCall = (url: URL, options: HttpOptions): Promise<HttpAnswer> =>
  new Promise((resolve, reject) => {
    const fail = (code: string, message: string) => {
      clearTimeout(timer)
      reject(new HttpFailure(code, message))
      call.destroy()
    }
    const failed = (error: NodeJS.ErrnoException) => {
      if (options.signal?.aborted === true) fail("ABORTED", "no longer wanted")
      else fail(error.code ?? "UNKNOWN", reasonOf(error))
    }
    const send = requestOver(url.protocol)
    const { headers, method = "GET", signal } = options
    const call = send(url, { headers, method, agent: false, signal }, (response) => {
      const chunks: Array<Buffer> = []
      let size = 0
      response.on("data", (chunk: Buffer) => {
        size += chunk.length
        if (size > LARGEST) fail("TOO_LARGE", `an answer of more than ${LARGEST} bytes`)
        else chunks.push(chunk)
      })
      response.once("error", failed)
      response.once("end", () => {
        clearTimeout(timer)
        const text = Buffer.concat(chunks).toString("utf8")
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text })
      })
    })
    const timer = setTimeout(
      () => fail("TIMEOUT", `no answer within ${Math.ceil(options.timeoutMs / 1000)} s`),
      options.timeoutMs
    )
    call.once("error", failed)
    call.end(options.body)
  })

/** localhost stands for two addresses: Node then wraps one error for each. */
const reasonOf = (error: NodeJS.ErrnoException): string =>
  error instanceof AggregateError && error.message === ""
    ? error.errors.map((inner: Error) => inner.message).join(", ")
    : error.message
