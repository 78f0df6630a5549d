/**
 * The stream has dropped what stood at these of its sequences, as its limits say or because it was told to, before the
 * consumer came to them. Those among them that it would have got are missed for good here; trailsd's log has them.
 */
export class EventsMissed extends Error {
  override readonly name = "EventsMissed"
  readonly from: number
  readonly to: number

  constructor(from: number, to: number) {
    super(
      `the stream has dropped its sequences ${from} to ${to} before this consumer came to them: what it would have got of ` +
        "them is missed here; GET /api/v1/events has it"
    )
    this.from = from
    this.to = to
  }
}
