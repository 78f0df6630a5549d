import type { Envelope } from "../protocol/Envelope.ts"

const hex = (bytes: Uint8Array): string => {
  let text = ""
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0")
  return text
}

/** A new span below `parent`, in the same trace and as sampled as it is (W3C trace context). */
export const childTraceparent = (parent: string, random: (length: number) => Uint8Array): string => {
  const [, trace = "", , flags = "00"] = parent.split("-")
  return `00-${trace}-${hex(random(8))}-${flags}`
}

/** Members for a logger's context: `trails_app_id`, `trails_app_name`, `trails_parent_id`, `trace_id`, `span_id`. */
export const loggerContext = (envelope: Envelope): Readonly<Record<string, string>> => {
  const { appId, appName, parentId, traceparent } = envelope
  const [, trace, span] = traceparent?.split("-") ?? []
  return {
    trails_app_id: appId,
    trails_app_name: appName,
    ...(parentId === null ? {} : { trails_parent_id: parentId }),
    ...(trace === undefined || span === undefined ? {} : { trace_id: trace, span_id: span })
  }
}
