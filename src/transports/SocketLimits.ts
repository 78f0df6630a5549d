/** Every bound of the WebSocket transport (PROTOCOL §3, P16, P17), as one value, so that a test can make it small. */
export interface SocketLimits {
  /** Sockets at once, those that wait for admission included; one more is answered with 503. */
  readonly sockets: number
  /** Upgrades and registrations under way at once, and how many may wait for their turn. */
  readonly handshakes: number
  readonly handshakeQueue: number
  /** Upgrades started in one turn of the event loop. */
  readonly handshakesPerTurn: number
  /** Longest wait for admission, then 503. */
  readonly handshakeWaitMs: number
  /** How long an upgraded socket that sends nothing keeps its place among the handshakes; the second, when others wait. */
  readonly handshakeIdleMs: number
  readonly handshakeCrowdedMs: number
  /** How long upgrades that wait, and may be anybody's, hold back verdicts in a row. */
  readonly verdictHoldMs: number
  /** For how long after a crowd of upgrades verdicts are still held back. */
  readonly crowdTailMs: number
  /** What a socket may send before its first accepted registration, and how long it may take (P16). */
  readonly strangerBytes: number
  readonly strangerMs: number
  /** A socket whose nodes have all left is closed after this. */
  readonly desertedMs: number
  /** A registration or declaration that its actor has not answered is refused as retryable after this. */
  readonly answerMs: number
  /** Registrations under way at once on one socket. */
  readonly registrationsPerSocket: number
  /** Nodes that one socket may have registered in its life: the nonces used are remembered. */
  readonly nodesPerSocket: number
  /** Data frames and their bytes between arrival and settlement, per socket; advertised in `registered.limits`. */
  readonly inFlight: number
  readonly inFlightBytes: number
  /** The same bytes over all sockets of the process. */
  readonly processBytes: number
  /** Bytes that wait for a peer that does not read; beyond, the socket is closed. */
  readonly outboundBytes: number
  /**
   * Bytes that wait for a peer beyond which it is sent no further events: they wait in the log. Small, since a ping waits
   * behind them. One event may have a quarter of `outboundBytes`.
   */
  readonly eventBacklogBytes: number
  /** Subscriptions at once, `GET watch` included; a session has at most one of each scope. */
  readonly subscriptions: number
  /** `GET watch` at once; one more is answered with 503. */
  readonly watchers: number
  /** How often who watches over HTTP is told a cursor, whether or not there is something for him. */
  readonly watchBeatMs: number
  /** How often the log is looked at for subscribers whom no hint has woken. */
  readonly watchSweepMs: number
  /**
   * Refused frames within `errorWindowMs`: beyond, a socket without a registered node is closed, and one with a node is
   * answered no more.
   */
  readonly strangerErrors: number
  readonly errors: number
  readonly errorWindowMs: number
  /** Bounds of a negotiated ping interval; 0 (off) is allowed too. */
  readonly pingMinMs: number
  readonly pingMaxMs: number
  /** The one sweep for pings and time limits. */
  readonly sweepMs: number
  /** How long a closing handshake may take. */
  readonly closeMs: number
  /** How long a drain waits for what is in flight. */
  readonly drainMs: number
}

const KIB = 1024
const MIB = 1024 * KIB

export const SOCKET_LIMITS: SocketLimits = {
  sockets: 16_000,
  handshakes: 500,
  handshakeQueue: 15_000,
  handshakesPerTurn: 32,
  handshakeWaitMs: 30_000,
  handshakeIdleMs: 1000,
  handshakeCrowdedMs: 200,
  verdictHoldMs: 60_000,
  crowdTailMs: 5000,
  strangerBytes: 64 * KIB,
  strangerMs: 10_000,
  desertedMs: 60_000,
  answerMs: 30_000,
  registrationsPerSocket: 32,
  nodesPerSocket: 10_000,
  inFlight: 1024,
  inFlightBytes: 8 * MIB,
  processBytes: 256 * MIB,
  outboundBytes: 4 * MIB,
  eventBacklogBytes: 256 * KIB,
  subscriptions: 20_000,
  watchers: 1000,
  // Below the idle time after which proxies cut, which is 30 seconds and more.
  watchBeatMs: 15_000,
  watchSweepMs: 1000,
  strangerErrors: 32,
  // A window of frames in flight to a session that has just ended is refused one by one: each deserves its answer.
  errors: 2048,
  errorWindowMs: 60_000,
  pingMinMs: 1000,
  pingMaxMs: 3_600_000,
  sweepMs: 250,
  closeMs: 1000,
  drainMs: 1500
}
