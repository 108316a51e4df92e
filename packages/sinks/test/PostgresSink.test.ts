import { assert, describe, it } from "@effect/vitest"
import { type Column, type EventRow, FrameFormat } from "@sampleline/core"
import { conformance } from "@sampleline/core/testing"
import {
  Cause,
  Config,
  ConfigProvider,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Metric,
  Redacted,
  References,
  Tracer
} from "effect"
import * as util from "node:util"
import { PostgresSink, type PostgresSinkOptions } from "../src/PostgresSink.ts"
import { eventsInPostgres } from "./events.ts"
import { altered, PostgresServer, prepared, readPostgres, waitFor } from "./postgres.ts"
import { deviceOf, flow, sampleOf, samplesFrom } from "./samples.ts"
import { nonEmpty, writeTo } from "./writing.ts"

const fresh = Effect.fnUntraced(function*(options: Partial<PostgresSinkOptions>) {
  const server = yield* PostgresServer
  const database = yield* server.sharedDatabase
  return {
    layer: PostgresSink.layer({
      ...server.address,
      user: "owner",
      password: server.password,
      database,
      createTable: true,
      ...options
    }),
    read: (columns: ReadonlyArray<Column>) => readPostgres(server, database, columns),
    readEvents: Effect.map(
      eventsInPostgres((sql) => server.query(database, sql)),
      (events) => events as unknown as ReadonlyArray<EventRow>
    ),
    locked: true,
    emptyIsNull: false,
    // A table that the sink makes has the row ids, asked for or not.
    rowOptions: { rowIds: true }
  }
})

const PATHS = [{ useCopy: true }, { useCopy: false }]

it.layer(PostgresServer.layer, { excludeTestServices: true, timeout: "60 seconds" })("PostgresSink", (it) => {
  describe("conformance", () => {
    for (const options of [{}, { useCopy: false, identity: true }, { maxConnections: 1, rowIds: true }]) {
      describe(`PostgresSink ${JSON.stringify(options)}`, () => {
        for (const { check, promise } of conformance(fresh(options))) it.effect(promise, () => check)
      })
    }
  })

  describe.each(PATHS)("with %o", ({ useCopy }) => {
    it.effect("says why a batch failed, has written nothing of it, and goes on afterwards", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared(
          `CREATE TABLE samples (device text, "Mass_Flow" double precision CHECK ("Mass_Flow" < 1000))`,
          `CREATE FUNCTION misbehave() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW."Mass_Flow" = 500 THEN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END IF;
            IF NEW."Mass_Flow" = 501 THEN PERFORM pg_sleep(30); END IF;
            IF NEW."Mass_Flow" = 502 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
            IF NEW."Mass_Flow" = 503 THEN RAISE EXCEPTION 'no' USING ERRCODE = '42501'; END IF;
            RETURN NEW; END $$`,
          "CREATE TRIGGER misbehave BEFORE INSERT ON samples FOR EACH ROW EXECUTE FUNCTION misbehave()"
        )
        const flow = FrameFormat.make([{ name: "Mass_Flow" }])
        const batch = (last: number) => [sampleOf(flow, [1]), sampleOf(flow, [last])] as const
        yield* Effect.gen(function*() {
          const sink = yield* PostgresSink
          const reason = (last: number) =>
            Effect.map(
              Effect.flip(sink.write(batch(last))),
              (error) =>
                error._tag === "SinkWriteError" ? `${error.reason} ${error.samples} ${error.isRetryable}` : error._tag
            )
          assert.strictEqual(yield* reason(1001), "Constraint 2 false")
          assert.strictEqual(yield* reason(500), "DiskFull 2 true")
          assert.strictEqual(yield* reason(501), "Timeout 2 true")
          assert.strictEqual(yield* reason(502), "ConnectionLost 2 true")
          assert.strictEqual(yield* reason(503), "PermissionDenied 2 false")
          yield* sink.write(batch(2))
        }).pipe(Effect.provide(PostgresSink.layer({ ...options, useCopy, statementTimeout: "1 second" })))
        assert.deepStrictEqual(yield* rows("SELECT \"Mass_Flow\" AS f FROM samples"), [{ f: 1 }, { f: 2 }])
      }))
  })

  describe.each(PATHS)("a table that is altered during the run, with %o", ({ useCopy }) => {
    const TABLE = `CREATE TABLE samples (device text, "Mass_Flow" double precision, "a 'b' \\ ""c""" text)`
    const format = FrameFormat.make([{ name: "Mass_Flow" }, { name: "a 'b' \\ \"c\"", kind: "text" }])
    const batch = nonEmpty([sampleOf(format, [0.25, "x"])])
    const stored = `SELECT "Mass_Flow"::text AS f FROM samples`

    it.effect.each(
      [
        [
          "ALTER COLUMN \"Mass_Flow\" TYPE bigint",
          "its column Mass_Flow is of type bigint now, and was of type double precision"
        ],
        [
          "ALTER COLUMN \"Mass_Flow\" TYPE real",
          "its column Mass_Flow is of type real now, and was of type double precision"
        ],
        ["ALTER COLUMN device TYPE bytea USING NULL", "its column device is of type bytea now, and was of type text"],
        ["DROP COLUMN \"Mass_Flow\"", "its column Mass_Flow is gone"]
      ] as const
    )("refuses batches after %s, until it is as before", ([change, problem]) =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared(TABLE)
        yield* Effect.gen(function*() {
          const sink = yield* PostgresSink
          yield* sink.write(batch)
          yield* rows(`ALTER TABLE samples ${change}`)
          const error = yield* Effect.flip(sink.write(batch))
          assert.strictEqual(error._tag, "SinkSchemaError")
          assert.include(error.message, problem)
          assert.deepStrictEqual(yield* rows("SELECT count(*)::int AS n FROM samples"), [{ n: 1 }])
          yield* rows(`DROP TABLE samples; ${TABLE}`)
          yield* sink.write(batch)
        }).pipe(Effect.provide(PostgresSink.layer({ ...options, useCopy })))
        assert.deepStrictEqual(yield* rows(stored), [{ f: "0.25" }])
      }))

    it.effect("names the domain that a column had, and tells a type that was made again from the one before", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared(
          "CREATE DOMAIN flow AS double precision",
          "CREATE TYPE gas AS ENUM ('N2')",
          "CREATE TABLE samples (device text, \"Mass_Flow\" flow, \"Gas\" gas)"
        )
        const refused = Effect.fnUntraced(function*(alter: string) {
          const sink = yield* PostgresSink
          yield* sink.write(nonEmpty(samplesFrom(0, 1)))
          yield* rows(alter)
          return (yield* Effect.flip(sink.write(nonEmpty(samplesFrom(1, 1))))).message
        }, Effect.provide(PostgresSink.layer({ ...options, useCopy })))
        assert.include(
          yield* refused("ALTER TABLE samples ALTER COLUMN \"Mass_Flow\" TYPE double precision"),
          "its column Mass_Flow is of type double precision now, and was of type flow; change it back"
        )
        assert.include(
          yield* refused(
            "ALTER TABLE samples DROP COLUMN \"Gas\"; DROP TYPE gas; CREATE TYPE gas AS ENUM ('N2'); "
              + "ALTER TABLE samples ADD COLUMN \"Gas\" gas"
          ),
          "its column Gas is of another type gas now, made since the recording began; start the recording again"
        )
        yield* writeTo(PostgresSink.layer({ ...options, useCopy }), samplesFrom(2, 1))
        assert.deepStrictEqual(yield* rows("SELECT count(*)::int AS n FROM samples"), [{ n: 3 }])
      }))

    it.effect("refuses the batch that waited while the table was altered", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared(TABLE)
        yield* Effect.gen(function*() {
          const sink = yield* PostgresSink
          yield* sink.write(batch)
          const altering = yield* altered(options, "ALTER TABLE samples ALTER COLUMN \"Mass_Flow\" TYPE bigint")
          const writing = yield* Effect.forkChild(Effect.flip(sink.write(batch)), { startImmediately: true })
          yield* waitFor(Effect.map(rows("SELECT 1 FROM pg_locks WHERE NOT granted"), ({ length }) => length > 0))
          yield* altering.commit
          assert.include((yield* Fiber.join(writing)).message, "its column Mass_Flow is of type bigint now")
        }).pipe(Effect.provide(PostgresSink.layer({ ...options, useCopy })), Effect.scoped)
        assert.deepStrictEqual(yield* rows(stored), [{ f: "0" }])
      }))

    it.effect("refuses a batch after a reconnect", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared(TABLE)
        yield* Effect.gen(function*() {
          const sink = yield* PostgresSink
          yield* sink.write(batch)
          yield* rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sampleline'")
          yield* rows("ALTER TABLE samples ALTER COLUMN \"Mass_Flow\" TYPE bigint")
          const refused = sink.write(batch).pipe(
            Effect.flip,
            Effect.repeat({ until: (error) => error._tag === "SinkSchemaError", times: 5 })
          )
          assert.include((yield* refused).message, "its column Mass_Flow is of type bigint now")
        }).pipe(Effect.provide(PostgresSink.layer({ ...options, useCopy })))
        assert.deepStrictEqual(yield* rows(stored), [{ f: "0" }])
      }))
  })

  it.effect("says why it cannot open", () =>
    Effect.gen(function*() {
      const { options, rows } = yield* prepared(
        "DROP ROLE IF EXISTS stranger",
        "CREATE ROLE stranger LOGIN PASSWORD 'x'",
        "CREATE TABLE samples (\"Mass_Flow\" real)",
        "CREATE TABLE dated (device text, requested_at date)",
        "CREATE TABLE strict (\"Mass_Flow\" real, site text NOT NULL)",
        "CREATE DOMAIN needed AS text NOT NULL",
        "CREATE TABLE stricter (device text, site needed)",
        "CREATE TABLE brief (device text, requested_at varchar(10))",
        "CREATE TABLE small (device text, requested_at numeric(10,2))"
      )
      const opening = (changed: Partial<PostgresSinkOptions>) =>
        Effect.map(
          Effect.flip(writeTo(PostgresSink.layer({ ...options, ...changed }), samplesFrom(0, 1))),
          (error) => `${error._tag} ${"reason" in error ? error.reason : ""}: ${error.message}`
        )
      const stranger = { user: "stranger", password: Redacted.make("x") }
      const target = `127.0.0.1:${options.port}/${options.database}.public`
      assert.match(yield* opening({ port: 1 }), /^SinkOpenError ConnectionRefused: .*check that the server runs there/)
      assert.match(
        yield* opening({ password: Redacted.make("wrong") }),
        /^SinkOpenError AuthenticationFailed: .*check user and password/
      )
      assert.match(yield* opening({ database: "nowhere" }), /^SinkOpenError Unknown: .*"nowhere" does not exist/)
      assert.include(yield* opening({ table: "none" }), `SinkSchemaError : PostgresSink cannot write to ${target}.none`)
      assert.include(yield* opening({ schema: "none" }), "has no schema none")
      assert.match(
        yield* opening(stranger),
        /^SinkOpenError PermissionDenied: .*GRANT INSERT ON public\.samples TO stranger/
      )
      assert.match(
        yield* opening({ ...stranger, table: "made", createTable: true }),
        /^SinkOpenError PermissionDenied: .*GRANT CREATE ON SCHEMA public TO stranger/
      )
      assert.match(yield* opening({ table: "dated" }), /^SinkSchemaError : .*requested_at is of type date/)
      assert.match(yield* opening({ table: "strict" }), /^SinkSchemaError : .*column site needs a value/)
      assert.match(yield* opening({ table: "stricter" }), /^SinkSchemaError : .*column site needs a value/)
      assert.match(
        yield* opening({ table: "brief" }),
        /^SinkSchemaError : .*requested_at is of type character varying\(10\)/
      )
      assert.match(yield* opening({ table: "small" }), /^SinkSchemaError : .*requested_at is of type numeric/)
      yield* rows("DROP ROLE stranger")
    }))

  it.effect("shows no password in a log line, error, span, metric or service, whatever fails", () =>
    Effect.gen(function*() {
      const { options, rows } = yield* prepared(
        "CREATE TABLE samples (device text, \"Mass_Flow\" double precision CHECK (\"Mass_Flow\" < 0))"
      )
      const wrong = "hunter2/Sesame@42?"
      const right = Redacted.value(options.password)
      const address = `127.0.0.1:${options.port}`
      const url = (password: string, rest: string) => ({ url: Redacted.make(`postgres://owner:${password}@${rest}`) })
      const attempts: ReadonlyArray<PostgresSinkOptions> = [
        { ...options, password: Redacted.make(wrong) },
        { ...options, port: 1 },
        options,
        url(encodeURIComponent(wrong), `${address}/postgres`),
        url(encodeURIComponent(right), `${address}/nowhere`),
        url(encodeURIComponent(right), `${address}/${options.database}`),
        url("%zz", address),
        url(wrong, address)
      ]
      const seen: Array<string> = []
      const see = (value: unknown) => {
        seen.push(String(value), util.inspect(value, { depth: 12, showHidden: true, getters: true }))
      }
      const tracer = Tracer.make({
        span: (fields) => {
          const span = new Tracer.NativeSpan(fields)
          see(span)
          const end = span.end.bind(span)
          span.end = (time, exit) => {
            end(time, exit)
            see(span)
          }
          return span
        }
      })
      const watched = Layer.mergeAll(
        Logger.layer([Logger.make((entry) => see([entry.message, entry.cause]))]),
        Layer.succeed(References.MinimumLogLevel, "All"),
        Layer.succeed(Tracer.Tracer, tracer)
      )
      for (const attempt of attempts.flatMap((attempt) => PATHS.map((path) => ({ ...attempt, ...path })))) {
        const exit = yield* Effect.gen(function*() {
          const sink = yield* PostgresSink
          see(sink)
          yield* sink.write(nonEmpty(samplesFrom(4, 2))).pipe(
            Effect.tapCause((cause) => Effect.logError(cause))
          )
        }).pipe(
          Effect.provide(PostgresSink.layer(attempt)),
          Effect.withSpan("run"),
          Effect.provide(watched),
          Effect.exit
        )
        assert.isTrue(Exit.isFailure(exit))
        see(exit)
        if (Exit.isFailure(exit)) see(Cause.pretty(exit.cause))
        if (Exit.isFailure(exit)) see(JSON.stringify(Cause.squash(exit.cause)))
      }
      see(yield* Metric.snapshot)
      assert.isTrue(seen.some((text) => text.includes("password authentication failed")))
      for (const text of seen) {
        for (const secret of [right, wrong, "s3cr3t", "hunter2", "Sesame"]) assert.notInclude(text, secret)
      }
      yield* rows("SELECT 1")
    }))

  it.effect("takes a URL with percent-encoded parts", () =>
    Effect.gen(function*() {
      const { options, rows } = yield* prepared()
      const url = Redacted.make(
        `postgres://owner:${
          encodeURIComponent(Redacted.value(options.password))
        }@127.0.0.1:${options.port}/${options.database}?sslmode=disable`
      )
      yield* writeTo(PostgresSink.layer({ url, createTable: true }), samplesFrom(0, 1))
      assert.deepStrictEqual(yield* rows("SELECT count(*)::int AS n FROM samples"), [{ n: 1 }])
    }))

  it.effect.each([{}, { rowIds: true }, { rowIds: false }, { identity: true }])(
    "makes a table with the row ids with %o",
    (ids) =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared()
        yield* writeTo(PostgresSink.layer({ ...options, ...ids, createTable: true }), samplesFrom(0, 1))
        assert.deepStrictEqual(yield* rows("SELECT run_id, sequence::int FROM samples"), [
          { run_id: "019a0000-0000-7000-8000-000000000000", sequence: 0 }
        ])
      })
  )

  it.effect("takes its options from the configuration", () =>
    Effect.gen(function*() {
      const { options, rows } = yield* prepared("CREATE TABLE flows (\"Mass_Flow\" real)")
      const { database, host, password, port, user } = options
      const layer = PostgresSink.layerConfig({
        url: Config.Redacted("DATABASE_URL"),
        table: Config.String("TABLE"),
        useCopy: Config.succeed(false)
      })
      const url = `postgres://${user}:${encodeURIComponent(Redacted.value(password))}@${host}:${port}/${database}`
      yield* writeTo(layer, samplesFrom(0, 2)).pipe(
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ DATABASE_URL: url, TABLE: "flows" })))
      )
      assert.deepStrictEqual(yield* rows("SELECT count(*)::int AS n FROM flows"), [{ n: 2 }])
    }))

  describe("check with devices", () => {
    it.effect("refuses what the first batch would be refused for, in the same words, and changes nothing", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared(
          "CREATE TABLE nothing (a text)",
          "CREATE TABLE strict (\"Mass_Flow\" real, site text NOT NULL)",
          "CREATE TABLE dated (device text, requested_at date)",
          "CREATE TABLE times (device text, received_at timestamptz, status text)",
          "CREATE TABLE listed (mass_flow real, status text[])",
          "CREATE TABLE odd (mass_flow timestamptz)",
          "CREATE TYPE gas AS ENUM ('N2')",
          "CREATE TABLE labelled (mass_flow gas)",
          "CREATE TABLE yes_or_no (mass_flow bool)",
          "CREATE TABLE gases (gas int)",
          "CREATE TABLE numbered (device int NOT NULL, mass_flow float8)",
          "CREATE TABLE usable (\"Mass_Flow\" real, other text[])"
        )
        const catalogue = rows("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1")
        const many = FrameFormat.make(Array.from({ length: 1600 }, (_, n) => ({ name: `f${n}` })))
        const refused = Effect.fnUntraced(function*(table: string, format: FrameFormat) {
          const changed = { ...options, table, createTable: true }
          const before = yield* catalogue
          const checking = yield* Effect.flip(PostgresSink.check(changed, [deviceOf(format)]))
          assert.deepStrictEqual(yield* catalogue, before)
          const writing = yield* Effect.flip(writeTo(PostgresSink.layer(changed), [sampleOf(format, [])]))
          assert.strictEqual(`${checking._tag} ${checking.message}`, `${writing._tag} ${writing.message}`)
          return `${checking._tag} ${checking.message}`
        })
        assert.match(yield* refused("nothing", flow), /^SinkSchemaError .*none of this run's columns/)
        assert.match(yield* refused("strict", flow), /^SinkSchemaError .*its column site needs a value/)
        assert.match(yield* refused("dated", flow), /^SinkSchemaError .*requested_at is of type date/)
        assert.match(
          yield* refused("times", flow),
          /^SinkSchemaError .*no column for a measured value \(Mass_Flow/
        )
        assert.match(yield* refused("listed", flow), /^SinkSchemaError .*its column status is of type text\[\]/)
        assert.match(
          yield* refused("odd", flow),
          /^SinkSchemaError .*its column mass_flow is of type timestamp with time zone/
        )
        assert.match(yield* refused("labelled", flow), /^SinkSchemaError .*its column mass_flow is of type gas, which/)
        assert.match(yield* refused("yes_or_no", flow), /^SinkSchemaError .*its column mass_flow is of type boolean/)
        assert.match(yield* refused("gases", flow), /^SinkSchemaError .*its column gas is of type integer/)
        assert.match(yield* refused("numbered", flow), /^SinkSchemaError .*its column device is of type integer/)
        assert.match(yield* refused("new", many), /^SinkSchemaError .*1610 columns, and a table takes at most 1600/)
        for (const table of ["usable", "new"]) {
          yield* PostgresSink.check({ ...options, table, createTable: true }, [deviceOf(flow)])
        }
      }))

    it.effect("decides nothing about formats that are not known yet", () =>
      Effect.gen(function*() {
        const { options } = yield* prepared("CREATE TABLE samples (a text)")
        yield* PostgresSink.check(options)
        yield* PostgresSink.check(options, [])
        yield* PostgresSink.check(options, [deviceOf(flow), deviceOf(null, "unknown")])
      }))

    it.effect("accepts names that Postgres cannot store as they are", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared()
        const format = FrameFormat.make([{ name: "\0" }, { name: "x".repeat(100) }, { name: "ctid" }])
        const made = { ...options, createTable: true }
        yield* PostgresSink.check(made, [deviceOf(format)])
        yield* writeTo(PostgresSink.layer(made), [sampleOf(format, [1, 2, 3])])
        assert.deepStrictEqual(yield* rows(`SELECT field, ${"x".repeat(63)} AS x, ctid_2 FROM samples`), [
          { field: 1, x: 2, ctid_2: 3 }
        ])
      }))
  })
})
