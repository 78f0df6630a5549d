import { expect, it } from "vitest"
import { isAboutData, isUndone, toStoreError } from "../../src/storage/PgError.ts"

const failure = (code: string | undefined, message = "secret value") => Object.assign(new Error(message), { code })

const matrix: ReadonlyArray<readonly [code: string | undefined, message: string, reason: string]> = [
  ["08006", "", "Unavailable"],
  ["57P01", "", "Unavailable"],
  ["57P03", "", "Unavailable"],
  ["53300", "", "Unavailable"],
  ["53100", "", "Unavailable"],
  ["58030", "", "Unavailable"],
  ["XX000", "", "Unavailable"],
  ["25006", "", "Unavailable"],
  ["25P03", "", "Unavailable"],
  ["40001", "", "Unavailable"],
  ["40P01", "", "Unavailable"],
  ["28P01", "", "Unavailable"],
  ["3D000", "", "Unavailable"],
  ["26000", "", "Unavailable"],
  ["0A000", "", "Unavailable"],
  ["57014", "", "Timeout"],
  ["55P03", "", "Timeout"],
  ["22P02", "", "Refused"],
  ["23505", "", "Refused"],
  ["54001", "", "Refused"],
  ["42P01", "", "Refused"],
  ["ECONNREFUSED", "", "Unavailable"],
  ["ECONNRESET", "", "Unavailable"],
  ["EPIPE", "", "Unavailable"],
  ["ETIMEDOUT", "", "Unavailable"],
  ["ENOTFOUND", "", "Unavailable"],
  [undefined, "Connection terminated unexpectedly", "Unavailable"],
  [undefined, "Query read timeout", "Timeout"],
  [undefined, "timeout exceeded when trying to connect", "Unavailable"]
]

it.for(matrix)("%s %s → %s", ([code, message, reason]) => {
  expect(toStoreError("op", failure(code, message)).reason).toBe(reason)
})

it("poison is what is about the data; a deadlock is run again", () => {
  const about = (code: string) => isAboutData(toStoreError("op", failure(code)))
  expect(["22P02", "23514", "54001", "21000"].map(about)).toEqual([true, true, true, true])
  expect(["42P01", "40P01", "57014", "08006", "EPIPE", "55000"].map(about)).toEqual([
    false,
    false,
    false,
    false,
    false,
    false
  ])
  expect(["40P01", "40001", "23505"].map((code) => isUndone(toStoreError("op", failure(code))))).toEqual([
    true,
    true,
    false
  ])
})

it("the server's text is not repeated where it may hold a value", () => {
  for (const code of ["22P02", "23505", "23514", "54001", "P0001", "08006", "57014", "28P01", "EPIPE"]) {
    expect(toStoreError("op", failure(code)).message).not.toContain("secret value")
  }
  expect(toStoreError("op", failure("42703")).message).toContain("secret value")
})
