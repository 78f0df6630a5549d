import type { Statement } from "../Database.ts"

/** $1 days ahead. Answers how many were made. */
export const makePartitions: Statement = {
  name: "partitions.make",
  text: "select trails.make_partitions($1::int4) as made"
}
