/** A wish that makes no sense at present; the message says what is possible. */
export class ClusterError extends Error {
  override readonly name = "ClusterError"
}
