// `AsyncDisposable`, for whoever compiles against an older library.
/// <reference lib="esnext.disposable" preserve="true" />
import type { EnvelopeFields, EnvelopeSupervision } from "../protocol/Envelope.ts"
import type { Level } from "../protocol/Frames.ts"
import type { HandOver } from "./HandOver.ts"
import type { StandardSchema } from "./StandardSchema.ts"
import type { TreeEvent } from "../protocol/TreeEvent.ts"

/** Whether a report was taken into the buffer. A promise to send it, not that it has arrived: `shutdown` tells that. */
export type Queued =
  | { readonly queued: true }
  | {
      readonly queued: false
      /**
       * - `inactive`: there is no `TRAILS_INFO`, or the server has refused this node; nothing is ever sent.
       * - `ended`: a result, an error or `shutdown` came before.
       * - `too_large`: over the server's largest frame. In place of a Result an Error is sent that says so.
       * - `not_json`: `JSON.stringify` can't write it, or it nests too deeply.
       * - `full`: the buffer is full of what must not be dropped.
       */
      readonly reason: "inactive" | "ended" | "too_large" | "not_json" | "full"
      readonly message: string
    }

export interface ReportOptions {
  /** Joins the message to something else, at most 256 bytes. Default: none. */
  readonly correlationId?: string
  /** W3C trace context of the work that it is about. Default: the node's own. */
  readonly traceparent?: string
}

/** How a child ended, or was last seen. */
export interface Outcome {
  /** `crashed` and `lost_contact` are verdicts from silence: the child may come back (PROTOCOL §7). */
  readonly state: "done" | "error" | "cancelled" | "start_failed" | "crashed" | "lost_contact"
  /** What it produced, when it sent a Result: also of a cancelled child. Bytes come as a Uint8Array. */
  readonly result?: unknown
  /** Why it failed, when it sent an Error. */
  readonly error?: { readonly message: string; readonly detail: unknown }
  /** `completed`, `superseded`, `connection_drop`, `never_started` … */
  readonly reason?: string
  /** The grace ran out, nobody acked the stop. */
  readonly forced?: boolean
  /** The event that told it. */
  readonly event: TreeEvent
}

/** What became of a declaration. */
export type Declared = { readonly ok: true } | { readonly ok: false; readonly code: string; readonly message: string }

export interface ChildOptions {
  /** For filters and for people; an object of at most 16 KiB. */
  readonly tags?: Readonly<Record<string, unknown>>
  /** Seconds that it has to start; 0 = no limit. Default: 300. */
  readonly deadline?: number
  readonly supervision?: Partial<EnvelopeSupervision>
  /** The child that this one stands in for: it ends as cancelled in the same transaction. */
  readonly replaces?: Child | string
  /** `ed25519:<base64>`: only this key may register as the child. */
  readonly childKey?: string
  /** Default: this node's level. A weaker one is refused by the server. */
  readonly secLevel?: Level
  readonly roleRefs?: ReadonlyArray<string>
  readonly grants?: ReadonlyArray<unknown>
  /** The child's own span. Default: a new one below this node's, if this node has one. */
  readonly traceparent?: string
  /** UUID. Default: a random one. */
  readonly appId?: string
}

export interface WaitOptions {
  /** Default: for ever. */
  readonly timeoutMs?: number
}

/** A child as its parent sees it: an intent first, then whatever becomes of it. */
export interface Child {
  readonly appId: string
  readonly name: string
  /** Its `TRAILS_INFO`; empty where the parent is inactive. */
  readonly info: string
  /** For its process: `{...process.env, ...child.env}`. Without an active parent the child gets none, and is a no-op too. */
  readonly env: Readonly<Record<string, string>>
  /** The server has stored the intent, or says why not. A child with a ticket need not wait for it. Never rejects. */
  readonly declared: Promise<Declared>
  /** The child's end, or the verdict of its silence. Null: the time ran out, or this node ended first. Never rejects. */
  readonly wait: (options?: WaitOptions) => Promise<Outcome | null>
  /** Everything that happens to it, from its declaration on, `impostor` included. Returns how to stop listening. */
  readonly onEvent: (listener: (event: TreeEvent) => void) => () => void
}

/** A command to stop: from a cascade, an ancestor, or because this node may not live any more (PROTOCOL §4, §8). */
export interface CancelRequest {
  readonly reason: string
  /** Milliseconds that whoever asked waits, from the command's arrival. */
  readonly graceMs: number
  /** What is left of them, or of fewer: another cancel that allows less holds for this one too. */
  readonly remainingMs: () => number
  /** Who asked: `admin`, `node:<id>`, `policy:onParentExit` … */
  readonly initiator: string
  readonly correlationId: string
}

/**
 * Cleans up. Its value is the answer to whoever asked; a Result that it sends before is attached to the cancelled node. Run
 * once, however often it is asked.
 */
export type CancelHandler = (request: CancelRequest) => unknown

export interface CancelOptions {
  /** What the handler may need, milliseconds, at most 7 days: whoever cancels waits no longer, nor longer than he likes. */
  readonly graceMs?: number
}

/** A command, besides its payload. */
export interface ActionContext {
  readonly action: string
  readonly correlationId: string
  readonly issuedBy: string
  /** Epoch milliseconds of the server's clock, both. */
  readonly issuedAt: number
  readonly expiresAt: number
  /** Aborted when the time-out has passed and the command has been answered with that. */
  readonly signal: AbortSignal
}

/** Does what a command asks for. Its value is the answer, any JSON value; what it throws is the answer `handler_failed`. */
export type ActionHandler<Payload = unknown> = (payload: Payload, context: ActionContext) => unknown

export interface ActionOptions {
  /** How long the handler may take, milliseconds. Default: 60,000. */
  readonly timeoutMs?: number
}

export interface Stats {
  /** `inactive`: no-op. `refused`: the server will not have it. `ended`: shut down. */
  readonly state: "inactive" | "connecting" | "attached" | "refused" | "ended"
  /** Why it is not attached, for people. */
  readonly reason: string | null
  /** In the buffer: not acked yet. */
  readonly waiting: number
  readonly acked: number
  /** Status reports that gave way to newer ones. */
  readonly dropped: number
  /** Reports that the server refused for good, or that were left when the node ended. */
  readonly refused: number
  /** Sessions after the first. */
  readonly reconnects: number
}

export interface ShutdownOptions {
  /** How long to wait for the acks, milliseconds. Default: 5000. */
  readonly timeoutMs?: number
}

export interface On {
  (action: string, handler: ActionHandler, options?: ActionOptions): () => void
  <Payload>(
    action: string,
    schema: StandardSchema<Payload>,
    handler: ActionHandler<Payload>,
    options?: ActionOptions
  ): () => void
}

/** A node of the tree, from inside. No method throws, blocks or waits for the network unless it returns a promise. */
export interface TrailsNode extends AsyncDisposable {
  readonly appId: string
  readonly parentId: string | null
  readonly name: string
  /** False: there is no `TRAILS_INFO`; everything succeeds and nothing happens. */
  readonly isActive: boolean
  /** Its trace context, as the envelope has it. */
  readonly traceparent: string | null
  /** For a logger's context: `trails_app_id`, `trails_app_name`, `trails_parent_id`, `trace_id`, `span_id`. */
  readonly context: Readonly<Record<string, string>>
  /** Progress: any JSON value, or a Uint8Array. */
  readonly status: (payload: unknown, options?: ReportOptions) => Queued
  /** What it produced; ends the node as done. The first result or error wins. */
  readonly result: (payload?: unknown, options?: ReportOptions) => Queued
  /** Why it failed; ends the node as error. `detail`: any JSON value; default: name, code, stack and cause. */
  readonly error: (error: unknown, detail?: unknown, options?: ReportOptions) => Queued
  readonly createChild: (name: string, options?: ChildOptions) => Promise<Child>
  /** One handler; a later one replaces it. */
  readonly onCancel: (handler: CancelHandler, options?: CancelOptions) => void
  /**
   * Answers commands of that name, one after the other, in their order; ancestors see what a node answers. With a schema
   * (Effect Schema, Zod, Valibot … by Standard Schema) a payload that does not fit is refused before the handler sees it. One
   * handler per action; a later one replaces it. Returns what takes it off. Set it right after `init`: what waits for this
   * node is told as soon as it registers.
   */
  readonly on: On
  /** True as soon as the server knows this node; false: it refused, or the time (default: for ever) ran out. */
  readonly ready: (options?: WaitOptions) => Promise<boolean>
  readonly stats: () => Stats
  /**
   * Says goodbye (`completed`, unless a result or an error was sent) and waits, for a bounded time, until everything is
   * stored. True: it is. The node is over afterwards.
   */
  readonly shutdown: (options?: ShutdownOptions) => Promise<boolean>
}

/** Bounds of the buffer: when it is full, the oldest waiting Status gives way. */
export interface BufferOptions {
  /** Default: 10,000. */
  readonly messages?: number
  /** Default: 16 MiB. */
  readonly bytes?: number
}

export interface InitOptions {
  /** The envelope's base64, where there is no environment. Default: `TRAILS_INFO`. */
  readonly info?: string
  /** Instead of `info`: a root of level `open`, made here. `appId` and `scheduledAt` are filled in. */
  readonly root?: Pick<EnvelopeFields, "appName" | "serverEp"> &
    Partial<Pick<EnvelopeFields, "appId" | "namespace" | "tags" | "startDeadline" | "supervision" | "traceparent">>
  /** 32 bytes: the secret half of the envelope's `childKey`. Default: a fresh key. */
  readonly seed?: Uint8Array
  /** Goes on for another process that has handed its node over (`LiveNode.handOver`); needs its `seed` too. */
  readonly resume?: HandOver
  readonly onCancel?: CancelHandler
  /** What `onCancel` may need, milliseconds, at most 7 days. */
  readonly cancelGraceMs?: number
  /** Names of actions that this node answers, besides those with a handler (`on`). */
  readonly capabilities?: ReadonlyArray<string>
  /** Server pings, milliseconds; 0 = none. Default: the server's. */
  readonly pingIntervalMs?: number
  readonly buffer?: BufferOptions
  /** False: a process that ends without `shutdown` says nothing. Default: true. */
  readonly exitHook?: boolean
  /** Gets the few things worth telling a person. Default: stderr. */
  readonly warn?: (message: string) => void
}
