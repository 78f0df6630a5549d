import type { ClientFrame, ServerFrame } from "./Frames.ts"

const APPLICATION_MEMBER: Readonly<Record<string, string>> = {
  message: "payload",
  control_result: "result",
  control: "payload",
  event: "event"
}

/**
 * M: the frame's JSON text without `sig` (`SignedFrame.ts` attaches that). `application` is the exact JSON text of the
 * application's value (`payload`, `result` or `event`), which goes in unread; it takes the place of the frame's own.
 */
export const encodeFrame = (frame: ClientFrame | ServerFrame, application: string | null = null): string => {
  if (application === null) return JSON.stringify(frame)
  const member = APPLICATION_MEMBER[frame.type]
  if (member === undefined) throw new TypeError(`a ${frame.type} frame carries no application value`)
  const { [member]: _replaced, ...rest } = frame as unknown as Readonly<Record<string, unknown>>
  return `${JSON.stringify(rest).slice(0, -1)},"${member}":${application}}`
}
