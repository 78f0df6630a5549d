/** Text of a source file, found there once, and what takes its place. */
export interface Replacement {
  readonly file: string
  readonly text: string
  readonly by: string
}

/** A guard, how it is broken, and the test that has to fail then. */
export interface Canary {
  readonly name: string
  readonly breaks: ReadonlyArray<Replacement>
  readonly test: { readonly file: string; readonly title: string }
}

const APPEND = "src/storage/sql/append.ts"
const REPLICAS = "test/actors/replicas.test.ts"
const INBOX = "src/actors/ReplicaInbox.ts"

/** What the rest stands on (issue 6, §5). */
export const canaries: ReadonlyArray<Canary> = [
  {
    name: "the epoch in the compare-and-set",
    breaks: [{ file: APPEND, text: "and s.epoch = w.epoch0 and s.n = w.n0", by: "and s.n = w.n0" }],
    test: { file: "test/storage/fence.test.ts", title: "inside its open transaction, which began before the take-over" }
  },
  {
    name: "the n in the compare-and-set",
    breaks: [{ file: APPEND, text: "and s.epoch = w.epoch0 and s.n = w.n0", by: "and s.epoch = w.epoch0" }],
    test: { file: "test/storage/fence.test.ts", title: "the same epoch, but an n that somebody else has used" }
  },
  {
    name: "ack after commit",
    breaks: [
      {
        file: "src/actors/StorageActor.ts",
        text: "      const exit = yield* Effect.exit(store.append(lane.index, writes))\n",
        by:
          '      for (const waiting of batch) waiting.resume(Effect.succeed({ _tag: "Committed" }))\n' +
          "      const exit = yield* Effect.exit(store.append(lane.index, writes))\n"
      }
    ],
    test: { file: "test/actors/faults.test.ts", title: "the ack comes after the commit" }
  },
  {
    name: "old-socket clean-up",
    breaks: [
      {
        file: "src/actors/node/socketLost.ts",
        text: "  if (cell.session !== session) return\n",
        by: ""
      },
      {
        file: "src/actors/node/socketLost.ts",
        text: "if (row === null || cell.session !== session) return",
        by: "if (row === null) return"
      }
    ],
    test: {
      file: "test/actors/dataPath.test.ts",
      title: "the late clean-up of an old socket never touches the newer session"
    }
  },
  {
    name: "the second statement of the seal check",
    breaks: [
      {
        file: "src/storage/PgBirth.ts",
        text: "    const locked =\n",
        by: "    const [early] = parentId === null ? [] : yield* transaction.query(sealedBy, [parentId])\n    const locked =\n"
      },
      {
        file: "src/storage/PgBirth.ts",
        text: "known ? transaction.query(sealedBy, [parentId]) : Effect.succeed([])",
        by: "Effect.succeed(known && early !== undefined ? [early] : [])"
      }
    ],
    test: {
      file: "test/storage/fence.test.ts",
      title: "a seal that is committed while the birth waits for the tree's lock is seen"
    }
  },
  {
    name: "the lock of the log id",
    breaks: [{ file: APPEND, text: "select ${LOG_TURN} from node", by: "select 1 from node" }],
    test: { file: "test/storage/order.test.ts", title: "a follower under 4 writers misses none of 100,000 rows" }
  },
  {
    name: "the signature of replica messages",
    breaks: [
      {
        file: INBOX,
        text: 'if (!verifySync(this.#env.serverKey, TAGS.replica, signed.message, signed.signature)) return "bad_signature"',
        by: ""
      }
    ],
    test: { file: "test/actors/ReplicaInbox.test.ts", title: "another key, another tag, or a changed byte" }
  },
  {
    name: "whom the subject of a replica message names",
    breaks: [
      {
        file: INBOX,
        text: "address === null || (address.to !== this.#env.boot && address.to !== BROADCAST)",
        by: "address === null"
      }
    ],
    test: { file: "test/actors/ReplicaInbox.test.ts", title: "another replica's messages, and its own" }
  },
  {
    name: "whom a replica message was signed for",
    breaks: [{ file: INBOX, text: 'if (to !== address.to) return "target"', by: "" }],
    test: { file: "test/actors/ReplicaInbox.test.ts", title: "another replica's messages, and its own" }
  },
  {
    name: "which node a replica message is about",
    breaks: [
      {
        file: INBOX,
        text: 'belongs(content, address) ? { ...message, content } : "target"',
        by: "{ ...message, content }"
      }
    ],
    test: { file: "test/actors/ReplicaInbox.test.ts", title: "a message that was moved to another subject" }
  },
  {
    name: "replica messages that come again",
    breaks: [{ file: INBOX, text: 'if (this.#seen.has(identity)) return "replayed"', by: "" }],
    test: { file: "test/actors/ReplicaInbox.test.ts", title: "the same message again, as long as its time is within" }
  },
  {
    name: "the look for commands of which no hint has come",
    breaks: [
      {
        file: "src/actors/LocalActorSystem.ts",
        text: 'for (const appId of page) tell(appId, { _tag: "Commanded" })',
        by: "void page"
      }
    ],
    test: { file: REPLICAS, title: "each command is told once and answered" }
  },
  {
    name: "the look at the log of which no hint has come",
    breaks: [
      {
        file: "src/transports/Waiters.ts",
        text: 'makeSweeper("waiters/sweep", limits.sweepMs, sweep)',
        by: 'makeSweeper("waiters/sweep", 3_600_000, sweep)'
      }
    ],
    test: { file: REPLICAS, title: "each command is told once and answered" }
  },
  {
    name: "a deposed publisher finds no new place",
    breaks: [
      {
        file: "src/supervision/EventPublisher.ts",
        text: "    yield* save(at)\n    if (at.isDeposed) return\n",
        by: "    yield* save(at)\n    at.isDeposed = false\n"
      }
    ],
    test: {
      file: "test/supervision/EventPublisher.test.ts",
      title: "who holds the duty no more finds no new place for what it had under way"
    }
  },
  {
    name: "what an event has to stand behind in the stream",
    breaks: [
      {
        file: "src/transports/JetStreamOutlet.ts",
        text: '        ...(anchor._tag === "Event" ? { lastMsgID: anchor.id } : { lastSequence: anchor.last })\n',
        by: ""
      }
    ],
    test: { file: "test/transports/publishing.test.ts", title: "that does not hold stores nothing" }
  }
]
