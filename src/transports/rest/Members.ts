import { Effect } from "effect"
import { nearestName } from "../../protocol/NearestName.ts"
import { badRequest, type Problem } from "./Problem.ts"

/** The members of a JSON body; one that is not known is refused, since a mistyped one would silently do nothing. */
export const readMembers = <const Name extends string>(
  body: unknown,
  known: ReadonlyArray<Name>
): Effect.Effect<Readonly<Partial<Record<Name, unknown>>>, Problem> => {
  const members = body as Readonly<Record<string, unknown>>
  const unknown = Object.keys(members).find((name) => !(known as ReadonlyArray<string>).includes(name))
  if (unknown === undefined) return Effect.succeed(members as Partial<Record<Name, unknown>>)
  const near = nearestName(unknown, known)
  const hint = near === null ? `known are: ${known.join(", ")}` : `did you mean ${near}?`
  return Effect.fail(badRequest("unknown_member", `The body has no member "${unknown.slice(0, 64)}"; ${hint}`))
}
