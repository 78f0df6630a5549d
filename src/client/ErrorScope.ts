import type { ErrorFrame } from "../protocol/Frames.ts"

const COME_BACK: ReadonlySet<ErrorFrame["code"]> = new Set(["bad_signature", "not_registered"])
const SESSION_ENDS: ReadonlySet<ErrorFrame["code"]> = new Set(["unavailable", "registration_failed"])

/** It ends this attachment to a socket, but not the node, which comes back on another one. */
export const isComeBack = ({ code }: ErrorFrame): boolean => COME_BACK.has(code)

/** "Reconnect": the node's actor has given its session up. */
export const isAboutSession = ({ code }: ErrorFrame): boolean => SESSION_ENDS.has(code)
