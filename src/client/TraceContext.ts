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

/** Members for a logger's context; none without a trace. */
export const traceIds = (traceparent: string | null): Readonly<Record<string, string>> => {
  const [, trace, span] = traceparent?.split("-") ?? []
  return trace === undefined || span === undefined ? {} : { trace_id: trace, span_id: span }
}
