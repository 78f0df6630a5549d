import type { RequestListener } from "node:http"

/**
 * Answers while the server is not serving: before its database is there, and while it stops. `/healthz` is fine then,
 * everything else is to be tried again.
 */
export const makeBootHandler =
  (reason: string): RequestListener =>
  (request, response) => {
    const alive = request.url === "/healthz"
    const text = alive
      ? JSON.stringify({ status: "ok" })
      : request.url === "/readyz"
        ? JSON.stringify({ status: "not_ready", problems: [reason] })
        : JSON.stringify({
            type: "about:blank",
            title: "Service Unavailable",
            status: 503,
            code: "unavailable",
            detail: `Not serving now: ${reason}`
          })
    response.writeHead(alive ? 200 : 503, {
      "content-type": alive || request.url === "/readyz" ? "application/json" : "application/problem+json",
      "content-length": Buffer.byteLength(text),
      "cache-control": "no-store",
      connection: "close",
      ...(alive ? {} : { "retry-after": "1" })
    })
    response.end(text)
  }
