/** A process that holds a data folder until it is killed: `node holdFolder.ts <folder>`. Prints `held` or the refusal. */
import { Effect } from "effect"
import { holdDataDir } from "../../src/storage/DataDir.ts"

const hold = Effect.scoped(
  Effect.gen(function* () {
    yield* holdDataDir(process.argv[2] ?? "")
    return yield* Effect.callback<never>((resume) => {
      const keepAlive = setInterval(() => {}, 60_000)
      process.once("SIGTERM", () => {
        clearInterval(keepAlive)
        resume(Effect.interrupt)
      })
      process.stdout.write("held\n")
    })
  })
)

await Effect.runPromiseExit(
  hold.pipe(Effect.catch((error) => Effect.sync(() => process.stdout.write(`${error.message}\n`))))
)
