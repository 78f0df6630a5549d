// A vitest reporter: tells scripts/verify.mjs how the tests ended, and ends with it.
export default class CountReporter {
  onInit() {
    process.once("disconnect", () => process.exit(1))
    // A listener alone would keep vitest from ending.
    process.channel.unref()
  }

  onTestRunEnd(modules, unhandledErrors) {
    const counts = { passed: 0, failed: 0, skipped: 0 }
    for (const module of modules) {
      const states = [...module.children.allTests()].map((test) => test.result().state)
      const failed = states.filter((state) => state === "failed").length
      counts.passed += states.filter((state) => state === "passed").length
      counts.skipped += states.filter((state) => state === "skipped").length
      // A file that cannot be loaded, or whose hooks failed, counts once where no test of it counts.
      counts.failed += failed === 0 && module.state() === "failed" ? 1 : failed
    }
    counts.failed += unhandledErrors.length
    process.send(counts)
  }
}
