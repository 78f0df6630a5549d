import type { Statement } from "../Database.ts"

/** The first that is missing, $1 days ahead; a transaction each (`000006_control.sql`). Answers how many were made. */
export const makePartitions: Statement = {
  name: "partitions.make",
  text: "select trails.make_partitions($1::int4) as made"
}
