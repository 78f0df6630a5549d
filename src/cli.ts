import { main } from "./cli/Program.ts"

await main(process.argv.slice(2))
