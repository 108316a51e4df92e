import { assert, describe, it } from "@effect/vitest"
import type { Resumable, RunEvent, Sample, SinkPlace } from "@sampleline/core"
import { Array, Effect, Fiber, Redacted } from "effect"
import { PostgresSink, type PostgresSinkOptions } from "../../src/PostgresSink.ts"
import { type Cut, cutCommit } from "../cutCommit.ts"
import { altered, PostgresServer, prepared, waitFor } from "../postgres.ts"
import { samplesFrom } from "../samples.ts"
import { logged } from "../writing.ts"

const JOURNAL = "019a0000-0000-7000-8000-0000000000aa"
const TABLE = "CREATE TABLE samples (device text, \"Mass_Flow\" real, \"Gas\" text, sequence bigint)"
const INSERTER = "DO $$ BEGIN CREATE ROLE inserter LOGIN PASSWORD 'x'; EXCEPTION WHEN duplicate_object THEN END $$"
const STORED = "SELECT sequence::int AS n FROM samples ORDER BY ctid"

const marker = (text: string): RunEvent => ({ _tag: "Marker", runId: "run", at: 0, text })

/** What a journal does with a sink: it keeps the last place, and opens the sink again after a failure. */
class KeptPlace {
  place: SinkPlace | null = null
  readonly resumable: Resumable
  constructor(resumable: Resumable) {
    this.resumable = resumable
  }
  open(first: ReadonlyArray<Sample> = [], firstAt = 0) {
    return Effect.map(
      this.resumable.open({
        journal: JOURNAL,
        place: this.place,
        first: Array.isReadonlyArrayNonEmpty(first) ? first : null,
        firstAt
      }),
      (place) => (this.place = place).through
    )
  }
  write(from: number, ...items: ReadonlyArray<Sample | RunEvent>) {
    return this.writeWhile(Effect.void, from, ...items)
  }
  /** `kept` runs when a place was kept before the COMMIT. */
  writeWhile(kept: Effect.Effect<unknown>, from: number, ...items: ReadonlyArray<Sample | RunEvent>) {
    const keep = (place: SinkPlace) => Effect.sync(() => this.place = place)
    return Array.isReadonlyArrayNonEmpty(items)
      ? Effect.asVoid(Effect.flatMap(
        this.resumable.writeAt(items, from + items.length, (place) => Effect.andThen(keep(place), kept)),
        keep
      ))
      : Effect.void
  }
}

/** Opens the sink as a journal does; what was kept before is known. */
const opened = (options: PostgresSinkOptions, place: SinkPlace | null = null) =>
  Effect.map(PostgresSink.make(options), ({ resumable }) => {
    const kept = new KeptPlace(resumable!)
    kept.place = place
    return kept
  })

const sequences = (rows: ReadonlyArray<{ readonly [column: string]: any }>) => rows.map(({ n }) => n)

/** A user who may only insert, and one who makes tables. */
const USERS = {
  "a row of the positions": { user: "owner", createTable: true },
  "the transaction's id": { user: "inserter", createTable: false }
} as const

it.layer(PostgresServer.layer, { excludeTestServices: true, timeout: "60 seconds" })("a journal's place", (it) => {
  const cases = [true, false].flatMap((useCopy) =>
    Object.entries(USERS).map(([by, user]) => ({ by, useCopy, ...user }))
  )
  describe.each(cases)("by $by, with COPY $useCopy", ({ createTable, useCopy, user }) => {
    const setUp = Effect.fnUntraced(function*(...statements: ReadonlyArray<string>) {
      const { options, rows } = yield* prepared(
        INSERTER,
        TABLE,
        "GRANT INSERT ON samples TO inserter",
        ...statements
      )
      const password = user === "owner" ? options.password : Redacted.make("x")
      return { rows, options: { ...options, user, password, useCopy, createTable } }
    })

    it.effect("is where the table is, also when it is opened again", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* setUp()
        const sink = yield* opened(options)
        assert.strictEqual(yield* sink.open(), 0)
        yield* sink.write(0, marker("begin"), ...samplesFrom(0, 3), marker("middle"), ...samplesFrom(3, 2))
        yield* sink.write(7, ...samplesFrom(5, 64))
        assert.strictEqual(yield* sink.open(), 71)
        const again = yield* opened(options, sink.place)
        assert.strictEqual(yield* again.open(samplesFrom(0, 1)), 71)
        yield* again.write(71, ...samplesFrom(69, 1))
        assert.deepStrictEqual(sequences(yield* rows(STORED)), samplesFrom(0, 70).map(({ sequence }) => sequence))
      }))

    it.effect("has not moved after a batch that was refused, of which nothing is there", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* setUp("ALTER TABLE samples ADD CHECK (sequence <> 9)")
        const sink = yield* opened(options)
        yield* sink.open()
        yield* sink.write(0, ...samplesFrom(0, 3))
        const error = yield* Effect.flip(sink.write(3, ...samplesFrom(3, 4), marker("middle"), ...samplesFrom(7, 4)))
        assert.deepInclude(error, { reason: "Constraint", samples: 8 } as object)
        assert.strictEqual(yield* sink.open(), 3)
        yield* sink.write(3, ...samplesFrom(3, 2))
        assert.deepStrictEqual(sequences(yield* rows(STORED)), [0, 1, 2, 3, 4])
      }))

    it.effect.each(["before", "during", "after"] satisfies ReadonlyArray<Cut>)(
      "is found after a connection that was cut %s its COMMIT",
      (cut) =>
        Effect.gen(function*() {
          // The COMMIT takes a while.
          const { options, rows } = yield* setUp(
            "CREATE OR REPLACE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END $$",
            "CREATE CONSTRAINT TRIGGER linger AFTER INSERT ON samples DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
              + "WHEN (NEW.sequence = 1) EXECUTE FUNCTION linger()"
          )
          const proxy = yield* cutCommit(options)
          const sink = yield* opened({ ...options, port: proxy.port })
          yield* sink.open()
          yield* sink.write(0, ...samplesFrom(0, 1))
          proxy.cutNext(cut)
          const error = yield* Effect.flip(sink.write(1, ...samplesFrom(1, 2)))
          assert.deepInclude(error, { reason: "ConnectionLost", isRetryable: true } as object)
          // Another process finds the same as this one.
          const other = yield* opened(options, sink.place)
          const through = yield* other.open(samplesFrom(0, 1))
          assert.strictEqual(through, cut === "before" ? 1 : 3)
          assert.strictEqual(yield* sink.open(), through)
          yield* sink.write(through, ...samplesFrom(through, 5 - through))
          assert.deepStrictEqual(sequences(yield* rows(STORED)), [0, 1, 2, 3, 4])
        })
    )

    it.effect("is found after the server was killed", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* setUp()
        const server = yield* PostgresServer
        const sink = yield* opened(options)
        yield* sink.open()
        yield* sink.write(0, ...samplesFrom(0, 3))
        yield* altered({ ...options, user: "owner", password: server.password }, "LOCK TABLE samples")
        const writing = yield* Effect.forkChild(Effect.flip(sink.write(3, ...samplesFrom(3, 3))), {
          startImmediately: true
        })
        yield* waitFor(Effect.map(rows("SELECT 1 FROM pg_locks WHERE NOT granted"), ({ length }) => length > 0))
        yield* server.stop("kill")
        const failures = [yield* Fiber.join(writing), yield* Effect.flip(sink.open())]
        yield* server.start
        for (const failure of failures) assert.deepInclude(failure, { reason: "ConnectionLost" } as object)
        assert.strictEqual(yield* sink.open(), 3)
        yield* sink.write(3, ...samplesFrom(3, 3))
        assert.deepStrictEqual(sequences(yield* rows(STORED)), [0, 1, 2, 3, 4, 5])
      }))
  })

  describe.each([true, false])("with COPY %s", (useCopy) => {
    it.effect("is in the transaction of the first batch, which makes the tables, and of its events", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared()
        const proxy = yield* cutCommit(options)
        const sink = yield* opened({ ...options, port: proxy.port, useCopy, createTable: true })
        yield* sink.open()
        const items = [marker("begin"), ...samplesFrom(0, 2), marker("end")]
        proxy.cutNext("before")
        yield* Effect.flip(sink.write(0, ...items))
        assert.deepStrictEqual(
          yield* rows("SELECT relname FROM pg_class WHERE relname ~ '^samples' AND relkind = 'r'"),
          []
        )
        assert.strictEqual(yield* sink.open(samplesFrom(0, 1)), 0)
        yield* sink.write(0, ...items)
        assert.deepStrictEqual(sequences(yield* rows(STORED)), [0, 1])
        assert.deepStrictEqual(yield* rows("SELECT detail FROM samples_events ORDER BY ctid"), [
          { detail: "begin" },
          { detail: "end" }
        ])
        assert.deepStrictEqual(yield* rows("SELECT count(*)::int AS n FROM samples_with_run"), [{ n: 2 }])
      }))

    it.effect("moves with the samples around an event that cannot be written, which is told", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared()
        const sink = yield* opened({ ...options, useCopy, createTable: true })
        yield* sink.open()
        yield* sink.write(0, marker("begin"), ...samplesFrom(0, 2))
        yield* rows("ALTER TABLE samples_events ADD CHECK (detail <> 'no')")
        const lines = yield* logged(
          sink.write(3, ...samplesFrom(2, 2), marker("no"), ...samplesFrom(4, 1), marker("yes"))
        )
        assert.strictEqual(lines.filter((line) => line.includes("an event was not written")).length, 1)
        assert.strictEqual(yield* sink.open(), 8)
        assert.deepStrictEqual(sequences(yield* rows(STORED)), [0, 1, 2, 3, 4])
        assert.deepStrictEqual(yield* rows("SELECT detail FROM samples_events ORDER BY ctid"), [
          { detail: "begin" },
          { detail: "yes" }
        ])
      }))

    it.effect("does not move if an event waits for a lock for too long", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared()
        const sink = yield* opened({ ...options, useCopy, createTable: true, statementTimeout: "200 millis" })
        yield* sink.open()
        yield* sink.write(0, marker("begin"), ...samplesFrom(0, 2))
        const lock = yield* altered(options, "LOCK TABLE samples_events")
        const error = yield* Effect.flip(sink.write(3, ...samplesFrom(2, 2), marker("end")))
        assert.deepInclude(error, { reason: "Timeout", isRetryable: true } as object)
        yield* lock.commit
        assert.strictEqual(yield* sink.open(), 3)
        yield* sink.write(3, ...samplesFrom(2, 2), marker("end"))
        assert.deepStrictEqual(sequences(yield* rows(STORED)), [0, 1, 2, 3])
      }))

    it.effect("moves although a batch of many events takes longer than one answer may", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared()
        const sink = yield* opened({ ...options, useCopy, createTable: true, commandTimeout: "400 millis" })
        yield* sink.open()
        yield* sink.write(0, marker("begin"), ...samplesFrom(0, 2))
        yield* rows(
          `CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END $$;
          CREATE TRIGGER slow BEFORE INSERT ON samples_events FOR EACH ROW EXECUTE FUNCTION slow()`
        )
        const markers = Array.makeBy(20, (n) => marker(String(n)))
        yield* sink.write(3, ...markers, ...samplesFrom(2, 2))
        assert.deepStrictEqual(sequences(yield* rows(STORED)), [0, 1, 2, 3])
        assert.deepStrictEqual(yield* rows("SELECT count(*)::int AS n FROM samples_events"), [{ n: 21 }])
      }))

    it.effect("is refused, and nothing changed, if the database does not know of the journal", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared()
        const made = { ...options, useCopy, createTable: true }
        const sink = yield* opened(made)
        yield* sink.open()
        yield* sink.write(0, ...samplesFrom(0, 2))
        yield* sink.resumable.forget
        const again = yield* opened(made, sink.place)
        const error = yield* Effect.flip(again.open(samplesFrom(0, 1)))
        assert.include(error.message, "sampleline_positions does not know of this journal")
        assert.isFalse((error as { isRetryable?: boolean }).isRetryable)
        assert.deepStrictEqual(yield* rows("SELECT * FROM sampleline_positions"), [])
        assert.deepStrictEqual(sequences(yield* rows(STORED)), [0, 1])
      }))

    it.effect("is refused if the table is gone that was written to, but not before a table was made", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared()
        const made = { ...options, useCopy, createTable: true }
        const sink = yield* opened(made)
        yield* sink.open()
        yield* sink.write(0, marker("begin"))
        const early = yield* opened(made, sink.place)
        assert.strictEqual(yield* early.open(samplesFrom(0, 1), 1), 1)
        yield* early.write(1, ...samplesFrom(0, 2))
        yield* rows("DROP TABLE samples CASCADE")
        const late = yield* opened(made, early.place)
        const error = yield* Effect.flip(late.open(samplesFrom(0, 1), 1))
        assert.include(error.message, "the table samples is gone, with what the journal has written to it")
        assert.isFalse(error._tag === "SinkWriteError" && error.isRetryable)
        assert.deepStrictEqual(yield* rows("SELECT 1 FROM pg_class WHERE relname = 'samples'"), [])
        // As a database that was dropped and made again.
        yield* rows("DROP SCHEMA public CASCADE")
        yield* rows("CREATE SCHEMA public")
        const later = yield* opened(made, early.place)
        const { message } = yield* Effect.flip(later.open(samplesFrom(0, 1), 1))
        assert.match(
          message,
          /the database no longer knows .+: its table sampleline_positions is gone, as after DROP DATABASE/
        )
        assert.deepStrictEqual(yield* rows("SELECT 1 FROM pg_tables WHERE schemaname = 'public'"), [])
      }))

    it.effect("is found again if another transaction has moved it", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared()
        const made = { ...options, useCopy, createTable: true }
        const sink = yield* opened(made)
        yield* sink.open()
        yield* sink.write(0, ...samplesFrom(0, 2))
        const other = yield* opened(made, sink.place)
        yield* other.open(samplesFrom(0, 1))
        yield* other.write(2, ...samplesFrom(2, 2))
        const error = yield* Effect.flip(sink.write(2, ...samplesFrom(2, 2)))
        assert.deepInclude(error, { isRetryable: true } as object)
        assert.strictEqual(yield* sink.open(), 4)
        assert.deepStrictEqual(sequences(yield* rows(STORED)), [0, 1, 2, 3])
      }))

    it.effect("is kept in a table that someone else has made, where no tables are made", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared(
          TABLE,
          "CREATE TABLE sampleline_positions (journal text, output text, through bigint, PRIMARY KEY (journal, output))"
        )
        const sink = yield* opened({ ...options, useCopy })
        yield* sink.open()
        yield* sink.write(0, ...samplesFrom(0, 2))
        assert.deepStrictEqual(yield* rows("SELECT journal, output, through::int FROM sampleline_positions"), [
          { journal: JOURNAL, output: "samples", through: 2 }
        ])
        yield* sink.resumable.forget
        assert.deepStrictEqual(yield* rows("SELECT * FROM sampleline_positions"), [])
      }))

    it.effect("is refused if the server does not know the transaction", () =>
      Effect.gen(function*() {
        const { options } = yield* prepared(TABLE)
        for (const transaction of ["3", "999999999"]) {
          const token = JSON.stringify({ transaction, through: 9, upSince: null })
          const sink = yield* opened({ ...options, useCopy }, { through: 4, token })
          const error = yield* Effect.flip(sink.open(samplesFrom(0, 1)))
          assert.include(
            error.message,
            `no longer knows whether the last batch was written, transaction ${transaction} with the items 4 to 8`
          )
          assert.isFalse((error as { isRetryable?: boolean }).isRetryable)
        }
      }))
  })

  const OTHERS = `DO $$ BEGIN FOR n IN 1..100 LOOP INSERT INTO others VALUES (n); COMMIT; END LOOP; END $$`
  /** The function by which a transaction's id is forced to the server's log. */
  const FORCE = "pg_logical_emit_message(boolean, text, text, boolean)"

  describe.each([true, false])("of a user who may only insert, with COPY %s", (useCopy) => {
    const setUp = Effect.fnUntraced(function*(...statements: ReadonlyArray<string>) {
      const { options, rows } = yield* prepared(
        INSERTER,
        TABLE,
        "GRANT INSERT ON samples TO inserter",
        "CREATE TABLE others (n int)",
        ...statements
      )
      yield* Effect.addFinalizer(() => rows(`GRANT EXECUTE ON FUNCTION ${FORCE} TO PUBLIC`))
      const server = yield* PostgresServer
      return {
        rows,
        sink: yield* opened({ ...options, user: "inserter", password: Redacted.make("x"), useCopy }),
        crash: Effect.andThen(server.stop("kill"), server.start)
      }
    })

    it.effect("is before a batch whose server crashed, although others soon have later transactions", () =>
      Effect.gen(function*() {
        const { crash, rows, sink } = yield* setUp()
        yield* sink.open()
        yield* sink.write(0, ...samplesFrom(0, 1))
        for (let n = 1; n < 3; n++) {
          yield* Effect.flip(sink.writeWhile(crash, n, ...samplesFrom(n, 1)))
          yield* rows(OTHERS)
          assert.strictEqual(yield* sink.open(), n)
          yield* sink.write(n, ...samplesFrom(n, 1))
        }
        assert.deepStrictEqual(sequences(yield* rows(STORED)), [0, 1, 2])
      }))

    it.effect("is before a batch that may have been committed when an older server crashed, which is told", () =>
      Effect.gen(function*() {
        const { crash, rows, sink } = yield* setUp(`REVOKE EXECUTE ON FUNCTION ${FORCE} FROM PUBLIC`)
        yield* sink.open()
        yield* sink.write(0, ...samplesFrom(0, 1))
        yield* Effect.flip(sink.writeWhile(crash, 1, ...samplesFrom(1, 1)))
        yield* rows(OTHERS)
        const lines = yield* logged(sink.open())
        assert.strictEqual(
          lines.filter((line) => line.includes("the items 1 to 1 of the journal are written again")).length,
          1
        )
        yield* sink.write(1, ...samplesFrom(1, 1))
        assert.deepStrictEqual(sequences(yield* rows(STORED)), [0, 1])
      }))
  })

  it.effect.each(
    [
      ["DROP TABLE samples", "the table no longer exists"],
      ["REVOKE INSERT ON samples FROM inserter", "permission denied for table samples"]
    ] as const
  )("stays after %s, for good", ([change, problem]) =>
    Effect.gen(function*() {
      const { options, rows } = yield* prepared(INSERTER, TABLE, "GRANT INSERT ON samples TO inserter")
      const sink = yield* opened({ ...options, user: "inserter", password: Redacted.make("x") })
      yield* sink.open()
      yield* sink.write(0, ...samplesFrom(0, 2))
      yield* rows(change)
      const error = yield* Effect.flip(sink.write(2, ...samplesFrom(2, 2)))
      assert.include(error.message, problem)
      assert.isFalse(error._tag === "SinkWriteError" && error.isRetryable)
    }))
})
