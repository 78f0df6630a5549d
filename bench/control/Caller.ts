import { Agent, request, type RequestOptions } from "node:http"

/** Calls of the REST API over connections that stay open, timed: unsigned, as `open` on a loopback listener allows them. */
export class Caller implements Disposable {
  readonly #agent = new Agent({ keepAlive: true })

  /** Milliseconds from the request to the answer with the node's result in it. */
  async command(http: string, appId: string, value: number): Promise<number> {
    const body = JSON.stringify({ action: "echo", payload: value, timeoutMs: 30_000 })
    const from = performance.now()
    const text = await this.#ask(`${http}/api/v1/apps/${appId}/control`, { method: "POST" }, body)
    const took = performance.now() - from
    const { result } = JSON.parse(text) as { readonly result: unknown }
    if (result !== value) throw new Error(`the answer to ${value} is ${text}`)
    return took
  }

  async get(http: string, path: string): Promise<unknown> {
    return JSON.parse(await this.#ask(`${http}/api/v1/${path}`, { method: "GET" }, "")) as unknown
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }

  #ask(url: string, options: RequestOptions, body: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const headers =
        body === "" ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(body) }
      const call = request(url, { agent: this.#agent, headers, ...options }, (response) => {
        let text = ""
        response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk))
        response.once("end", () => resolve(text))
        response.once("error", reject)
      })
      call.once("error", reject)
      call.end(body)
    })
  }
}
