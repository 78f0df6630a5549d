import type { ErrorFrame } from "../protocol/Frames.ts"

const REMEDY: Partial<Record<ErrorFrame["code"], string>> = {
  key_mismatch:
    "another process is this node. Did this one inherit TRAILS_INFO from its parent? Start it with the env of createChild()",
  level_too_weak: "the server asks for signed frames: make the root at that level (POST /api/v1/roots)",
  ticket_invalid: "its TRAILS_INFO was not made by its parent, or not for this server",
  replaced: "a newer session of this node exists: another process is it now"
}

/** What a person can do about a refusal; undefined where the server's own words say all. */
export const remedyFor = (code: ErrorFrame["code"]): string | undefined => REMEDY[code]
