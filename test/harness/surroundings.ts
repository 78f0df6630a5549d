/** Variables that configure trailsd, its clients, its database or its telemetry. */
const configuring =
  /^(?:TRAILS_|OTEL_|PG[A-Z]|DATABASE_|NATS_|LISTEN_ADDR$|SERVER_INSTANCE$|DEFAULT_START_DEADLINE$|DISCONNECT_GRACE$|RECONNECT_WINDOW$|REPLICA_LEASE$|DRAIN_DELAY$)/

/** The environment without what configures TRAILS: for a server or a client that is told everything by its test. */
export const withoutSurroundings = (env: NodeJS.ProcessEnv = process.env): Record<string, string> =>
  Object.fromEntries(
    Object.entries(env).filter(
      (entry): entry is [string, string] => entry[1] !== undefined && !configuring.test(entry[0])
    )
  )

/**
 * Forgets what configures TRAILS, in this process and in those that it starts: what the surroundings say (`trails run`
 * sets TRAILS_INFO for whatever it wraps) must not decide how a test or a measurement ends.
 */
export const dropSurroundings = (): void => {
  for (const name of Object.keys(process.env)) if (configuring.test(name)) delete process.env[name]
}
