import type { IncomingMessage } from "node:http"
import { Effect } from "effect"
import { type JsonScan, type ScanFault, scanObject } from "../../protocol/JsonScan.ts"
import { badRequest, Problem } from "./Problem.ts"

/** Largest body of a request, in bytes. */
export const MAX_BODY = 256 * 1024

const tooLarge = new Problem({
  status: 413,
  code: "too_large",
  detail: `A request's body may hold ${MAX_BODY} bytes at most`,
  headers: { connection: "close" }
})

const cut = new Problem({
  status: 400,
  code: "incomplete_body",
  detail: "The connection ended before the whole body had arrived",
  headers: { connection: "close" }
})

const slow = new Problem({
  status: 408,
  code: "slow_body",
  detail: "The body did not arrive within 10 seconds",
  headers: { connection: "close" }
})

/** Everything the client sends as the body, never more than `MAX_BODY`. */
export const readBody = (request: IncomingMessage): Effect.Effect<Buffer, Problem> => {
  if (Number(request.headers["content-length"] ?? 0) > MAX_BODY) return Effect.fail(tooLarge)
  if (request.headers["content-length"] === undefined && request.headers["transfer-encoding"] === undefined) {
    return Effect.succeed(Buffer.alloc(0))
  }
  return Effect.callback<Buffer, Problem>((resume) => {
    const chunks: Array<Buffer> = []
    let size = 0
    const onData = (chunk: Buffer) => {
      size += chunk.length
      if (size > MAX_BODY) finish(Effect.fail(tooLarge))
      else chunks.push(chunk)
    }
    const onEnd = () => finish(Effect.succeed(Buffer.concat(chunks)))
    const onCut = () => finish(Effect.fail(cut))
    const stop = () => {
      request.off("data", onData).off("end", onEnd).off("close", onCut).pause()
    }
    const finish = (effect: Effect.Effect<Buffer, Problem>) => {
      stop()
      resume(effect)
    }
    // The error listener stays: a late error of an abandoned request is nobody's.
    request.on("data", onData).on("end", onEnd).on("close", onCut).on("error", onCut)
    return Effect.sync(stop)
  }).pipe(Effect.timeoutOrElse({ duration: 10_000, orElse: () => Effect.fail(slow) }))
}

const utf8 = new TextDecoder("utf-8", { fatal: true })

const FAULTS: Readonly<Record<ScanFault, string>> = {
  syntax: "The body must be a JSON object",
  depth: "The body nests too deep; 32 levels are allowed",
  duplicate: "The body names a member twice",
  escape: "A member's name has an escape that JSON does not know",
  members: "The body has too many members"
}

/** The JSON object that a body holds. */
export interface JsonBody {
  readonly members: Readonly<Record<string, unknown>>
  /** The exact text of a member's value, in which no number is rounded; null when there is no such member. */
  readonly slice: (name: string) => string | null
}

const bodyOf = (text: string, { ends, keys, starts }: JsonScan): JsonBody => ({
  members: JSON.parse(text) as JsonBody["members"],
  slice: (name) => {
    const at = keys.indexOf(name)
    return at < 0 ? null : text.slice(starts[at], ends[at])
  }
})

/** The type is asked for so that no web form can make such a request. */
export const parseJson = (request: IncomingMessage, body: Buffer): Effect.Effect<JsonBody, Problem> =>
  Effect.suspend(() => {
    if (!/^application\/json\s*(?:;\s*charset="?utf-8"?\s*)?$/i.test(request.headers["content-type"] ?? "")) {
      return Effect.fail(
        new Problem({
          status: 415,
          code: "unsupported_media_type",
          detail: "Send the body as Content-Type: application/json"
        })
      )
    }
    if ((request.headers["content-encoding"] ?? "identity") !== "identity") {
      return Effect.fail(
        new Problem({ status: 415, code: "unsupported_encoding", detail: "Send the body without a Content-Encoding" })
      )
    }
    return Effect.try({
      try: () => {
        const text = utf8.decode(body)
        const scan = scanObject(text)
        return typeof scan === "string" ? { fault: FAULTS[scan] } : { value: bodyOf(text, scan) }
      },
      catch: () => badRequest("bad_json", "The body is not JSON in UTF-8")
    }).pipe(
      Effect.flatMap((read) =>
        read.fault === undefined ? Effect.succeed(read.value) : Effect.fail(badRequest("bad_json", read.fault))
      )
    )
  })
