import { Context } from "effect"

/**
 * Whether nodes are denied the chance to come back just now for a reason that lies on our side, apart from the database:
 * handshakes that wait for admission (PROTOCOL §7). Transports provide it.
 */
export class VerdictHold extends Context.Service<
  VerdictHold,
  {
    readonly held: () => boolean
  }
>()("trails/supervision/VerdictHold") {}
