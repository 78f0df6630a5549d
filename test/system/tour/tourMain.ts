// Runs the README's tour in real terminals: `npm run tour` compares, `npm run tour -- --write` puts what is printed now
// into the README.
import { dropSurroundings } from "../../harness/surroundings.ts"
import { Tour } from "./Tour.ts"

dropSurroundings()

const isWriting = process.argv.includes("--write")
const tour = new Tour()
try {
  const difference = await tour.run()
  if (difference !== null && isWriting) {
    tour.write()
    console.log("README.md: the tour's output is what was printed now.")
  } else if (difference !== null) {
    console.error(difference)
    process.exitCode = 1
  } else console.log(`The README's tour prints what it says: ${tour.length} commands.`)
} finally {
  await tour.close()
}
