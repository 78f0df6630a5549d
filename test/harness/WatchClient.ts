import * as Http from "node:http"
import { WebSocket } from "ws"
import type { TreeEvent } from "../../src/protocol/TreeEvent.ts"

export interface Watched {
  readonly cursor: string
  readonly event: TreeEvent
}

type Headers = Readonly<Record<string, string>>

/** The answer to a `GET watch` that was refused. */
export class WatchRefused extends Error {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly text: string

  constructor(response: Http.IncomingMessage, text: string) {
    super(`${response.statusCode}: ${text}`)
    this.status = response.statusCode ?? 0
    this.headers = response.headers
    this.text = text
  }
}

const textOf = async (response: Http.IncomingMessage): Promise<string> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

/** Who watches a server. `cursor` is where to go on, by the last that was told. */
export abstract class WatchClient {
  readonly events: Array<Watched> = []
  cursor: string | null = null
  /** Comments, or why the socket was closed. */
  readonly words: Array<string> = []
  isEnded = false
  /** How often a cursor was told without an event. */
  beats = 0

  protected saw(cursor: string, event: TreeEvent | null): void {
    this.cursor = cursor
    if (event === null) this.beats++
    else this.events.push({ cursor, event })
  }

  abstract freeze(): void
  abstract thaw(): void
  /** Leaves without a word. */
  abstract cut(): void
}

/** Reads Server-Sent Events as the standard says, as far as they are used here. */
export class SseClient extends WatchClient {
  readonly headers: Http.IncomingHttpHeaders
  readonly #response: Http.IncomingMessage
  #rest = ""

  private constructor(response: Http.IncomingMessage) {
    super()
    this.#response = response
    this.headers = response.headers
    response.setEncoding("utf8")
    response.on("data", (text: string) => this.#read(text))
    response.on("error", () => {})
    response.on("close", () => {
      this.isEnded = true
    })
  }

  /** `url`: of HTTP, with the path. */
  static async open(url: string, headers: Headers = {}): Promise<SseClient> {
    const response = await new Promise<Http.IncomingMessage>((resolve, reject) => {
      Http.get(url, { agent: false, headers: { ...headers } }, resolve).on("error", reject)
    })
    if (response.statusCode !== 200) throw new WatchRefused(response, await textOf(response))
    return new SseClient(response)
  }

  freeze(): void {
    this.#response.pause()
  }

  thaw(): void {
    this.#response.resume()
  }

  cut(): void {
    this.#response.destroy()
  }

  #read(text: string): void {
    const blocks = (this.#rest + text).split("\n\n")
    this.#rest = blocks.pop() ?? ""
    for (const block of blocks) {
      let [cursor, data] = [this.cursor ?? "", ""]
      for (const line of block.split("\n")) {
        const [, name, value = ""] = /^([a-z]*): ?(.*)$/.exec(line) ?? []
        if (name === "") this.words.push(value)
        else if (name === "id") cursor = value
        else if (name === "data") data += value
      }
      this.saw(cursor, data === "" ? null : (JSON.parse(data) as TreeEvent))
    }
  }
}

export class WatchSocketClient extends WatchClient {
  readonly socket: WebSocket
  code: number | null = null

  private constructor(socket: WebSocket) {
    super()
    this.socket = socket
    socket.on("message", (text: Buffer) => {
      const message = JSON.parse(text.toString()) as { readonly cursor: string; readonly event?: TreeEvent }
      this.saw(message.cursor, message.event ?? null)
    })
    socket.on("close", (code, reason) => {
      this.isEnded = true
      this.code = code
      this.words.push(reason.toString())
    })
  }

  /** `url`: of HTTP, with the path. */
  static open(url: string, headers: Headers = {}): Promise<WatchSocketClient> {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url.replace(/^http/, "ws"), { perMessageDeflate: false, headers: { ...headers } })
      const client = new WatchSocketClient(socket)
      socket.on("error", reject)
      socket.on("open", () => resolve(client))
      socket.on("unexpected-response", (_, response) => {
        void textOf(response).then((text) => reject(new WatchRefused(response, text)))
      })
    })
  }

  freeze(): void {
    this.socket.pause()
  }

  thaw(): void {
    this.socket.resume()
  }

  cut(): void {
    this.socket.terminate()
  }
}
