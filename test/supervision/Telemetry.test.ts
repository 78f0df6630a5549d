import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric, type Scope } from "effect"
import { Telemetry, type TelemetryShape } from "../../src/Telemetry.ts"
import { Histogram } from "../../src/TelemetrySeries.ts"

const run = (title: string, body: (telemetry: TelemetryShape) => Effect.Effect<void, never, Scope.Scope>) =>
  it.effect(title, () => Effect.provide(Effect.flatMap(Telemetry, body), Telemetry.layer))

const block = (ms: number) => {
  const end = performance.now() + ms
  while (performance.now() < end);
}

describe("telemetry", () => {
  run("a counter shows what was added, from the first scrape on", (telemetry) =>
    Effect.gen(function* () {
      assert.include(yield* telemetry.render, "# TYPE trails_frames_acked_total counter\ntrails_frames_acked_total 0\n")
      telemetry.framesAcked.add()
      telemetry.framesAcked.add(41)
      assert.include(yield* telemetry.render, "\ntrails_frames_acked_total 42\n")
      assert.include(yield* telemetry.render, "\ntrails_frames_acked_total 42\n")
    })
  )

  run("a family has a series per label, and its type once", (telemetry) =>
    Effect.gen(function* () {
      telemetry.framesReceived.add("message", 2)
      telemetry.framesReceived.of("disconnect").add()
      const page = yield* telemetry.render
      assert.include(page, '\ntrails_frames_received_total{type="message"} 2\n')
      assert.include(page, '\ntrails_frames_received_total{type="disconnect"} 1\n')
      assert.include(page, '\ntrails_frames_refused_total{code="overloaded"} 0\n')
      assert.strictEqual(page.split("# TYPE trails_frames_received_total counter").length, 2)
    })
  )

  run("labels without end share one series (P17)", (telemetry) =>
    Effect.gen(function* () {
      for (let i = 0; i < 1_000; i++) telemetry.framesReceived.add(`made-up-${i}`)
      const series = (yield* telemetry.render)
        .split("\n")
        .filter((line) => line.startsWith("trails_frames_received_total{"))
      assert.isAtMost(series.length, 65)
      assert.strictEqual(
        series.reduce((sum, line) => sum + Number(line.split(" ")[1]), 0),
        1_000
      )
    })
  )

  run("a gauge is read at each scrape; registering it again replaces it", (telemetry) =>
    Effect.gen(function* () {
      let sessions = 1
      telemetry.gauge("sessions", () => sessions)
      assert.include(yield* telemetry.render, "\ntrails_sessions 1\n")
      sessions = 7
      assert.include(yield* telemetry.render, "\ntrails_sessions 7\n")
      telemetry.gauge("sessions", () => 100)
      assert.include(yield* telemetry.render, "\ntrails_sessions 100\n")
      assert.notInclude(yield* telemetry.render, "\ntrails_sessions 7\n")
    })
  )

  run("a histogram shows cumulative buckets, sum and count", (telemetry) =>
    Effect.gen(function* () {
      for (const size of [1, 2, 3, 1_000]) telemetry.appendBatch.record(size)
      const page = yield* telemetry.render
      for (const line of [
        'bucket{le="1"} 1',
        'bucket{le="2"} 2',
        'bucket{le="5"} 3',
        'bucket{le="500"} 3',
        'bucket{le="+Inf"} 4',
        "sum 1006",
        "count 4"
      ]) {
        assert.include(page, `\ntrails_append_batch_size_${line}\n`)
      }
    })
  )

  it("a histogram without observations is all zeros", () => {
    assert.deepStrictEqual(new Histogram([1, 2]).state(), {
      buckets: [
        [1, 0],
        [2, 0]
      ],
      count: 0,
      min: 0,
      max: 0,
      sum: 0
    })
  })

  it.live("the longest block of the event loop is seen, a second scrape notwithstanding", () =>
    Effect.provide(
      Effect.gen(function* () {
        const { render } = yield* Telemetry
        const read = (page: string, name: string) =>
          Number(
            page
              .split("\n")
              .find((line) => line.startsWith(`${name} `))
              ?.split(" ")[1]
          )
        yield* Effect.sleep(60)
        block(200)
        yield* Effect.sleep(60)
        const page = yield* render
        assert.isAtLeast(read(page, "trails_loop_delay_max_seconds"), 0.15)
        assert.isAtLeast(read(page, 'trails_loop_delay_seconds{quantile="max"}'), 0.15)
        yield* Effect.sleep(60)
        const next = yield* render
        assert.isAtLeast(read(next, "trails_loop_delay_max_seconds"), 0.15)
        assert.isBelow(read(next, 'trails_loop_delay_seconds{quantile="max"}'), 0.15)
      }),
      Telemetry.layer
    )
  )

  it.effect("two servers in one process do not add up", () =>
    Effect.gen(function* () {
      const page = (amount: number) =>
        Effect.provide(
          Telemetry.use((telemetry) => {
            telemetry.framesAcked.add(amount)
            return telemetry.render
          }),
          Telemetry.layer,
          { local: true }
        )
      assert.include(yield* page(1), "\ntrails_frames_acked_total 1\n")
      assert.include(yield* page(2), "\ntrails_frames_acked_total 2\n")
    })
  )

  run("nothing of Effect's own shared registry is on the page", (telemetry) =>
    Effect.gen(function* () {
      yield* Metric.update(Metric.counter("stranger"), 1)
      for (const line of (yield* telemetry.render).trimEnd().split("\n"))
        assert.match(line, /^(# (TYPE|HELP) )?trails_/)
    })
  )
})
