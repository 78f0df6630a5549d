import { Cause, Deferred, Effect, Exit, Fiber, Queue, type Scope } from "effect"
import { Telemetry } from "../Telemetry.ts"
import { causeText } from "./CauseText.ts"
import type { ChildReport, ChildSpec, ChildState, Restart, StopReport } from "./ChildSpec.ts"
import { monotonicClock } from "./MonotonicClock.ts"
import { recordRestart, restartDelay, type RestartHistory } from "./RestartIntensity.ts"
import { SupervisorFailed } from "./SupervisorFailed.ts"

// Invariants:
// S1  Only the loop (one fiber) changes a child after the start; everything else is a message to it.
// S2  A message about a child carries the life it is about; one about an earlier life is ignored.
// S3  At most one life of a child runs: none is started before the former one was seen to have ended.
// S4  Stop is the last message that is looked at: nothing is started after it.

/** `rest_for_one`: children that were started after the failing one depend on it, and are restarted with it. */
export type Strategy = "one_for_one" | "rest_for_one"

export interface SupervisorOptions<R> {
  readonly name: string
  readonly strategy: Strategy
  /** In the order of their start; they stop in reverse. */
  readonly children: ReadonlyArray<ChildSpec<R>>
}

export interface Supervisor {
  readonly name: string
  readonly children: () => ReadonlyArray<ChildReport>
  /** Fails when the supervisor gives up; its children have been stopped by then. Never succeeds. */
  readonly escalated: Effect.Effect<never, SupervisorFailed>
  /** Stops the children in reverse order, each within its budget, and says which did. May be called again. */
  readonly stop: Effect.Effect<ReadonlyArray<StopReport>>
}

interface Child<R> {
  readonly spec: ChildSpec<R>
  readonly index: number
  fiber: Fiber.Fiber<unknown, unknown> | null
  /** Raised whenever the child is started or stopped. */
  life: number
  state: ChildState
  restarts: number
  history: RestartHistory
  lastError: string | null
}

type Message<R> =
  | {
      readonly _tag: "Exited"
      readonly child: Child<R>
      readonly life: number
      readonly exit: Exit.Exit<unknown, unknown>
    }
  | { readonly _tag: "Restart"; readonly child: Child<R>; readonly life: number }
  | { readonly _tag: "Stop" }

const isToBeRestarted = ({ restart }: { readonly restart: Restart }, exit: Exit.Exit<unknown, unknown>): boolean =>
  restart === "permanent" || (restart === "transient" && Exit.isFailure(exit))

const seconds = (ms: number): string => `${ms / 1000} s`

/** Starts the children in order and supervises them until the scope closes, `stop` is called, or it gives up. */
export const startSupervisor = Effect.fnUntraced(function* <R>(
  options: SupervisorOptions<R>
): Effect.fn.Return<Supervisor, never, R | Telemetry | Scope.Scope> {
  const telemetry = yield* Telemetry
  const now = yield* monotonicClock
  const scope = yield* Effect.scope
  const mailbox = yield* Queue.unbounded<Message<R>>()
  const escalated = yield* Deferred.make<never, SupervisorFailed>()
  const stopped = yield* Deferred.make<ReadonlyArray<StopReport>>()
  let stopAsked = false

  const children = options.children.map((spec, index): Child<R> => ({
    spec,
    index,
    fiber: null,
    life: 0,
    state: "stopped",
    restarts: 0,
    history: [],
    lastError: null
  }))

  const start = Effect.fnUntraced(function* (child: Child<R>) {
    const life = ++child.life
    const fiber = yield* Effect.forkDetach(child.spec.start)
    child.fiber = fiber
    child.state = "running"
    fiber.addObserver((exit) => Queue.offerUnsafe(mailbox, { _tag: "Exited", child, life, exit }))
  })

  const stopChild = Effect.fnUntraced(function* (child: Child<R>, endState: "stopped" | "done" | "waiting") {
    child.life++
    const { fiber, spec } = child
    const from = now()
    if (fiber !== null && fiber.pollUnsafe() === undefined) {
      child.state = "stopping"
      fiber.interruptUnsafe()
      yield* Effect.timeoutOption(Fiber.await(fiber), spec.shutdownMs)
    }
    // Verified, not assumed: a fiber in an uninterruptible region or a hanging finalizer is still there.
    const exit = fiber?.pollUnsafe()
    const ended = fiber === null || exit !== undefined
    child.state = ended ? (child.state === "done" ? "done" : endState) : "stuck"
    if (exit !== undefined && Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)) {
      child.lastError = causeText(exit.cause)
    }
    const report: StopReport = { id: spec.id, stopped: ended, tookMs: now() - from, budgetMs: spec.shutdownMs }
    if (!ended) {
      yield* Effect.logError(`${options.name}: child ${spec.id} did not stop within ${seconds(spec.shutdownMs)}`)
    }
    return report
  })

  const stopAll = Effect.gen(function* () {
    const reports: Array<StopReport> = []
    for (const child of children.toReversed()) reports.push(yield* stopChild(child, "stopped"))
    return reports
  })

  const escalate = Effect.fnUntraced(function* (reason: "intensity" | "stuck", child: Child<R>, message: string) {
    yield* Effect.logError(message)
    const reports = yield* stopAll
    yield* Deferred.fail(
      escalated,
      new SupervisorFailed({ reason, supervisor: options.name, child: child.spec.id, message })
    )
    return reports
  })

  /** The children that restart together with this one, itself first. */
  const dependents = (child: Child<R>): ReadonlyArray<Child<R>> =>
    options.strategy === "one_for_one" ? [child] : children.slice(child.index)

  const onExited = Effect.fnUntraced(function* (child: Child<R>, exit: Exit.Exit<unknown, unknown>) {
    const { spec } = child
    if (Exit.isFailure(exit)) child.lastError = causeText(exit.cause)
    if (!isToBeRestarted(spec, exit)) {
      child.state = "done"
      if (Exit.isFailure(exit)) yield* Effect.logWarning(`${options.name}: child ${spec.id} ended: ${child.lastError}`)
      return undefined
    }
    if (Exit.isSuccess(exit)) child.lastError = "ended although it should run for ever"
    child.state = "waiting"
    const { exceeded, history } = recordRestart(child.history, now(), spec.intensity)
    child.history = history
    const { restarts, withinMs } = spec.intensity
    if (exceeded) {
      return yield* escalate(
        "intensity",
        child,
        `${options.name}: child ${spec.id} failed more than ${restarts} times within ${seconds(withinMs)}, last with: ` +
          `${child.lastError}. It is not restarted any more; see to that error, then start again.`
      )
    }
    for (const dependent of dependents(child).slice(1).toReversed()) {
      const report = yield* stopChild(dependent, dependent.spec.restart === "temporary" ? "done" : "waiting")
      if (!report.stopped) {
        return yield* escalate(
          "stuck",
          dependent,
          `${options.name}: child ${report.id} has to restart together with ${spec.id} (${child.lastError}) and did not ` +
            `stop within ${seconds(report.budgetMs)}. A second one beside it could do harm; start the process again.`
        )
      }
    }
    const delay = restartDelay(history)
    yield* Effect.logWarning(
      `${options.name}: child ${spec.id} ended: ${child.lastError}; restart ${history.length} of at most ${restarts} ` +
        `within ${seconds(withinMs)}, in ${delay} ms`
    )
    const message: Message<R> = { _tag: "Restart", child, life: child.life }
    yield* Queue.offer(mailbox, message).pipe(Effect.delay(delay), Effect.forkIn(scope))
    return undefined
  })

  const onRestart = Effect.fnUntraced(function* (failed: Child<R>) {
    for (const child of dependents(failed)) {
      // A temporary child is never started twice; a finished transient one is, since what it built on is gone.
      if (child !== failed && child.spec.restart === "temporary") continue
      child.restarts++
      telemetry.restarts.add(child.spec.id)
      yield* start(child)
    }
  })

  const loop = Effect.gen(function* () {
    while (true) {
      const message = yield* Queue.take(mailbox)
      if (message._tag === "Stop") return yield* stopAll
      if (message.life !== message.child.life) continue
      if (message._tag === "Restart") {
        yield* onRestart(message.child)
        continue
      }
      const reports = yield* onExited(message.child, message.exit)
      if (reports !== undefined) return reports
    }
  })

  const stop = Effect.suspend(() => {
    if (!stopAsked) {
      stopAsked = true
      Queue.offerUnsafe(mailbox, { _tag: "Stop" })
    }
    return Deferred.await(stopped)
  })

  yield* Effect.forkScoped(Deferred.into(loop, stopped))
  // Registered after the loop, so it runs before the loop's fiber is interrupted.
  yield* Effect.addFinalizer(() => stop)
  for (const child of children) {
    telemetry.gauge("child_up", () => (child.state === "running" ? 1 : 0), { child: child.spec.id })
    yield* start(child)
  }

  return {
    name: options.name,
    children: () =>
      children.map(({ lastError, restarts, spec, state }) => ({ id: spec.id, state, restarts, lastError })),
    escalated: Deferred.await(escalated),
    stop
  }
})

/** A supervisor as the life of one effect: for a child spec that is a supervisor itself. */
export const runSupervisor = <R>(
  options: SupervisorOptions<R>
): Effect.Effect<never, SupervisorFailed, Exclude<R, Scope.Scope> | Telemetry> =>
  Effect.scoped(Effect.flatMap(startSupervisor(options), (supervisor) => supervisor.escalated))
