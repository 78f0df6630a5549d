/**
 * Why an event is not verified.
 * - `not_asked`: no key was given.
 * - `no_frame`: it is the server's own word (`scheduled`, `crash` …): there is nothing that anybody else has signed.
 * - `left_out`: the frame was too large for NATS; `dataref` says where it is.
 * - `unsigned`: the node's level is `open`.
 * - `key_unknown`: no registration of this node and incarnation was seen, nor found by `registered`; with a root's key: no
 *   chain of envelopes was found by `envelope`.
 * - `chain_broken`: the envelopes do not prove a key for this node.
 * - `bad_signature`: it is signed, and not by the key that it should be.
 * - `contradiction`: the frame is genuine, and the event around it says something else.
 * - `server_signed`: a frame of the server, which a root's key alone can't prove.
 * - `malformed`: the frame is none.
 */
export type Unverified =
  | "not_asked"
  | "no_frame"
  | "left_out"
  | "unsigned"
  | "key_unknown"
  | "chain_broken"
  | "bad_signature"
  | "contradiction"
  | "server_signed"
  | "malformed"

export type Verdict =
  /** `key`: of who has signed the frame: the node, or the server where it is its `registered`, or a command that was told. */
  | { readonly verified: true; readonly by: "node" | "server"; readonly key: string }
  | { readonly verified: false; readonly reason: Unverified }

export const unverified = (reason: Unverified): Verdict => ({ verified: false, reason })
