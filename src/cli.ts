const args = process.argv.slice(2)
const { quickRun } = await import("./cli/quickRun.ts")
if (!(await quickRun(args))) {
  const { main } = await import("./cli/Program.ts")
  await main(args)
}
