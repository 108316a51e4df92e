import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { FrameFormat, type FrameValue, type Run, SampleSink } from "@sampleline/core"
import { Effect, Layer, Redacted, Schema } from "effect"
import { PostgresSink } from "../../src/PostgresSink.ts"
import { SqlSink } from "../../src/SqlSink.ts"
import { PostgresServer, prepared } from "../postgres.ts"
import { deviceOf, sampleOf, samplesFrom } from "../samples.ts"
import { logged, writeTo } from "../writing.ts"

it.layer(PostgresServer.layer, { excludeTestServices: true, timeout: "60 seconds" })(
  "the table of PostgresSink",
  (it) => {
    describe.each([{ useCopy: true }, { useCopy: false }])("with %o", ({ useCopy }) => {
      it.effect("makes a table of real types, with the row ids at its end, and units and devices in a table beside it", () =>
        Effect.gen(function*() {
          const { options, rows } = yield* prepared()
          const format = FrameFormat.make([{ name: "Mass_Flow", unit: "SCCM" }, { name: "Gas", kind: "text" }, {
            name: "Count",
            kind: "int"
          }])
          const identity = {
            manufacturer: "Alicat Scientific",
            model: "MC",
            serialNumber: "52'1;\"\0",
            firmware: null,
            calibrationDate: null
          }
          const run: Run = { id: "run-1", startedAt: 0, devices: [{ name: "fuel", unitId: "A", identity, format }] }
          yield* writeTo(PostgresSink.layer({ ...options, useCopy, createTable: true }), [
            sampleOf(format, [1, "N2", 3], 0, run)
          ])
          const columns = yield* rows(
            `SELECT attname::text AS name, format_type(atttypid, atttypmod) AS type
            FROM pg_attribute WHERE attrelid = 'samples'::regclass AND attnum > 0 ORDER BY attnum`
          )
          assert.deepStrictEqual(columns.map(({ name, type }) => [name, type]), [
            ["device", "text"],
            ["unit_id", "text"],
            ["requested_at", "timestamp with time zone"],
            ["received_at", "timestamp with time zone"],
            ["midpoint_at", "timestamp with time zone"],
            ["latency_s", "double precision"],
            ["Mass_Flow", "double precision"],
            ["Gas", "text"],
            ["Count", "bigint"],
            ["status", "text"],
            ["run_id", "text"],
            ["sequence", "bigint"],
            ["tick", "bigint"]
          ])
          assert.deepStrictEqual(
            yield* rows("SELECT device, serial_number, column_name, unit FROM samples_columns"),
            ["Mass_Flow", "Gas", "Count"].map((column_name) => ({
              device: "fuel",
              serial_number: "52'1;\"\uFFFD",
              column_name,
              unit: column_name === "Mass_Flow" ? "SCCM" : null
            }))
          )
          const [table] = yield* rows("SELECT obj_description('samples'::regclass) AS comment")
          assert.include(table!["comment"], "samples_columns")
        }))

      it.effect("leaves a serial key and a default to the database", () =>
        Effect.gen(function*() {
          const { options, rows } = yield* prepared(
            `CREATE TABLE samples (id bigserial primary key, entered timestamptz NOT NULL DEFAULT now(), device text,
            "Mass_Flow" double precision, doubled double precision GENERATED ALWAYS AS ("Mass_Flow" * 2) STORED)`
          )
          yield* writeTo(PostgresSink.layer({ ...options, useCopy }), samplesFrom(4, 2))
          assert.deepStrictEqual(
            yield* rows(`SELECT id::int, device, "Mass_Flow", doubled, entered > '2000-01-01' AS "isNew" FROM samples`),
            [
              { id: 1, device: "fuel", Mass_Flow: 1, doubled: 2, isNew: true },
              { id: 2, device: "fuel", Mass_Flow: 1.25, doubled: 2.5, isNew: true }
            ]
          )
        }))

      it.effect("keeps NaN and infinities in real and double precision, and as words in text; elsewhere counts them", () =>
        Effect.gen(function*() {
          const { options, rows } = yield* prepared(
            "CREATE TABLE samples (f8 double precision, f4 real, txt text, num numeric, i4 integer, i8 bigint, jb jsonb)"
          )
          const format = FrameFormat.make(["f8", "f4", "txt", "num", "i4", "i8", "jb"].map((name) => ({ name })))
          const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
          const report = yield* writeTo(
            PostgresSink.layer({ ...options, useCopy }),
            values.map((value, n) => sampleOf(format, format.fields.map(() => value), n))
          )
          assert.deepStrictEqual(
            yield* rows("SELECT f8, f4, txt, num, i4, i8, jb::text FROM samples ORDER BY ctid"),
            values.map((value) => ({
              f8: value,
              f4: value,
              txt: String(value),
              num: null,
              i4: null,
              i8: null,
              jb: null
            }))
          )
          assert.deepStrictEqual(report.columnsDropped, { num: 3, i4: 3, i8: 3, jb: 3 })
        }))

      it.effect("converts each value to its column's type, and counts what a column cannot hold", () =>
        Effect.gen(function*() {
          const names = ["f8", "f4", "num", "dec", "i4", "i8", "i2", "txt", "vc", "bool", "jb", "gas", "js"]
          const { options, rows } = yield* prepared(
            "CREATE TYPE gas AS ENUM ('N2', 'Air')",
            `CREATE TABLE samples (requested_at timestamp, received_at text, midpoint_at bigint, latency_s numeric(9,6), run_id uuid,
            f8 double precision, f4 real, num numeric, dec numeric(5,2), i4 integer, i8 bigint, i2 smallint,
            txt text, vc varchar(4), bool boolean, jb jsonb, gas gas, js json)`
          )
          const write = (
            kinds: ReadonlyArray<"float" | "text">,
            ...values: ReadonlyArray<ReadonlyArray<FrameValue>>
          ) => {
            const format = FrameFormat.make(names.map((name, at) => ({ name, kind: kinds[at]! })))
            return writeTo(
              PostgresSink.layer({ ...options, useCopy, identity: true }),
              values.map((row) => sampleOf(format, row))
            )
          }
          const text = "text" as const
          const float = "float" as const
          const report = yield* write(
            [float, float, float, float, float, float, float, text, text, text, text, text, float],
            [0.1, 0.1, -12345.0625, 3.14259, 2.5, 9e15, -3, "µ\0", "ab", "true", "say \"hi\"", "N2", 1.5],
            [1e300, 1e300, 1e-7, 1234.5, 3e9, 1e300, 40_000, null, "abcde", "perhaps", null, "Air", null]
          )
          const found = yield* rows(
            `SELECT requested_at::text, received_at, midpoint_at::text, latency_s::text, run_id::text, f8, f4, num::text, dec::text,
            i4, i8::text, i2, txt, vc, bool, jb::text, gas, js::text FROM samples ORDER BY ctid`
          )
          assert.deepStrictEqual(found, [
            {
              requested_at: "2026-03-01 12:00:00",
              received_at: "2026-03-01T12:00:00.000500Z",
              midpoint_at: "1772366400000250",
              latency_s: "0.000500",
              run_id: "019a0000-0000-7000-8000-000000000000",
              f8: 0.1,
              f4: 0.1,
              num: "-12345.0625",
              dec: "3.14",
              i4: 2,
              i8: "9000000000000000",
              i2: -3,
              txt: "µ\uFFFD",
              vc: "ab",
              bool: true,
              jb: "\"say \\\"hi\\\"\"",
              gas: "N2",
              js: "1.5"
            },
            {
              requested_at: "2026-03-01 12:00:00",
              received_at: "2026-03-01T12:00:00.000500Z",
              midpoint_at: "1772366400000250",
              latency_s: "0.000500",
              run_id: "019a0000-0000-7000-8000-000000000000",
              f8: 1e300,
              f4: null,
              num: "0.0000001",
              dec: null,
              i4: null,
              i8: null,
              i2: null,
              txt: null,
              vc: null,
              bool: null,
              jb: null,
              gas: "Air",
              js: null
            }
          ])
          assert.deepStrictEqual(report.columnsDropped, {
            sequence: 2,
            tick: 2,
            f4: 1,
            dec: 1,
            i4: 1,
            i8: 1,
            i2: 1,
            vc: 1,
            bool: 1
          })
        }))

      it.effect("finds its columns without case, and exactly first", () =>
        Effect.gen(function*() {
          const { options, rows } = yield* prepared(
            `CREATE TABLE samples (device text, requested_at timestamptz, mass_flow double precision, gas text, "Gas" text)`
          )
          const report = yield* writeTo(PostgresSink.layer({ ...options, useCopy }), samplesFrom(4, 1))
          assert.deepStrictEqual(yield* rows(`SELECT mass_flow, gas, "Gas" FROM samples`), [
            { mass_flow: 1, gas: null, Gas: "N2" }
          ])
          assert.deepStrictEqual(report.columnsDropped, {})
        }))

      it.effect("stores null for a label that an enum does not have", () =>
        Effect.gen(function*() {
          const { options, rows } = yield* prepared(
            "CREATE TYPE gas AS ENUM ('N2', 'Ar')",
            "CREATE TABLE samples (device text, \"Gas\" gas)"
          )
          const format = FrameFormat.make([{ name: "Gas", kind: "text" }])
          const report = yield* writeTo(
            PostgresSink.layer({ ...options, useCopy }),
            ["N2", "CO2", "Ar"].map((gas) => sampleOf(format, [gas]))
          )
          assert.deepStrictEqual((yield* rows("SELECT \"Gas\" AS gas FROM samples")).map(({ gas }) => gas), [
            "N2",
            null,
            "Ar"
          ])
          assert.deepStrictEqual(report.columnsDropped, { Gas: 1 })
        }))

      it.effect("writes through domains of domains, and stores columns that have the name of a system column", () =>
        Effect.gen(function*() {
          const { options, rows } = yield* prepared(
            "CREATE DOMAIN short AS varchar(2)",
            "CREATE DOMAIN shorter AS short CHECK (length(VALUE) < 3)",
            "CREATE TABLE samples (device text, \"Gas\" shorter)"
          )
          const format = FrameFormat.make([{ name: "Gas", kind: "text" }, { name: "ctid" }, { name: "a\0" }, {
            name: "a"
          }])
          const layer = (table: string) => PostgresSink.layer({ ...options, useCopy, table, createTable: true })
          const samples = ["N2", "Air"].map((gas) => sampleOf(format, [gas, 1, 2, 3]))
          yield* writeTo(layer("samples"), samples)
          assert.deepStrictEqual((yield* rows("SELECT \"Gas\" AS gas FROM samples")).map(({ gas }) => gas), [
            "N2",
            null
          ])
          yield* writeTo(layer("made"), samples)
          assert.deepStrictEqual((yield* rows("SELECT ctid_2, a_2, a FROM made"))[0], { ctid_2: 1, a_2: 2, a: 3 })
        }))

      it.effect("warns if several columns match a name without case", () =>
        Effect.gen(function*() {
          const { options, rows } = yield* prepared(
            "CREATE TABLE samples (mass_flow real, \"MASS_FLOW\" real, gas text)"
          )
          const lines = yield* logged(writeTo(PostgresSink.layer({ ...options, useCopy }), samplesFrom(4, 1)))
          assert.deepStrictEqual(yield* rows("SELECT * FROM samples"), [{
            mass_flow: null,
            MASS_FLOW: null,
            gas: "N2"
          }])
          assert.isTrue(
            lines.some((line) =>
              line.startsWith("Warn") && line.includes("several columns match it (mass_flow, MASS_FLOW)")
            )
          )
        }))

      it.effect("leaves out the columns that a role may not insert into, with a warning", () =>
        Effect.gen(function*() {
          const { options, rows } = yield* prepared(
            "CREATE TABLE samples (device text, \"Mass_Flow\" real, \"Gas\" text)",
            "DROP ROLE IF EXISTS part",
            "CREATE ROLE part LOGIN PASSWORD 'part'",
            "GRANT INSERT (device, \"Mass_Flow\") ON samples TO part",
            "CREATE TABLE closed (device text, mass_flow real)",
            "GRANT INSERT (device) ON closed TO part"
          )
          const lines = yield* logged(writeTo(
            PostgresSink.layer({ ...options, useCopy, user: "part", password: Redacted.make("part") }),
            samplesFrom(4, 1)
          ))
          assert.deepStrictEqual(yield* rows("SELECT * FROM samples"), [{ device: "fuel", Mass_Flow: 1, Gas: null }])
          assert.isTrue(
            lines.some((line) =>
              line.startsWith("Warn") &&
              line.includes("leaving out columns that the user may not insert into: Gas")
            )
          )
          const refused = writeTo(
            PostgresSink.layer({
              ...options,
              useCopy,
              table: "closed",
              user: "part",
              password: Redacted.make("part")
            }),
            samplesFrom(4, 1)
          )
          assert.include(
            (yield* Effect.flip(refused)).message,
            "the user may not insert into its columns mass_flow; GRANT INSERT on the table"
          )
          yield* rows("REVOKE ALL ON samples, closed FROM part; DROP ROLE part")
        }))

      it.effect("stores names unchanged, and keeps two apart that the server would shorten to one", () =>
        Effect.gen(function*() {
          const { options, rows } = yield* prepared()
          const odd = "a \"b\"; DROP TABLE samples; -- 🧪"
          const long = "x".repeat(62)
          const format = FrameFormat.make([{ name: odd }, { name: `${long}yy1` }, { name: `${long}yy2` }])
          const layer = PostgresSink.layer({ ...options, useCopy, createTable: true })
          yield* writeTo(layer, [sampleOf(format, [1, 2, 3])])
          yield* writeTo(layer, [sampleOf(format, [4, 5, 6])])
          const found = yield* rows("SELECT * FROM samples ORDER BY ctid")
          assert.deepStrictEqual(
            found.map((row) => [row[odd], row[`${long}y`], row[`${"x".repeat(61)}_2`]]),
            [[1, 2, 3], [4, 5, 6]]
          )
        }))

      it.effect("writes for a role that may only insert", () =>
        Effect.gen(function*() {
          const { options, rows } = yield* prepared(
            "CREATE TABLE samples (device text, \"Mass_Flow\" real)",
            `DROP ROLE IF EXISTS logger`,
            `CREATE ROLE logger LOGIN PASSWORD 'only-insert'`,
            "GRANT INSERT ON samples TO logger"
          )
          const password = Redacted.make("only-insert")
          yield* writeTo(PostgresSink.layer({ ...options, useCopy, user: "logger", password }), samplesFrom(0, 3))
          assert.deepStrictEqual(yield* rows("SELECT count(*)::int AS n FROM samples"), [{ n: 3 }])
          yield* rows("REVOKE ALL ON samples FROM logger; DROP ROLE logger")
        }))
    })

    it.effect("inserts where COPY would not do the same: into views, with row-level security, with rules", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared(
          "CREATE TABLE flows (\"Mass_Flow\" real)",
          "CREATE VIEW samples AS SELECT \"Mass_Flow\" FROM flows",
          "CREATE TABLE ruled (\"Mass_Flow\" real)",
          "CREATE RULE elsewhere AS ON INSERT TO ruled DO INSTEAD INSERT INTO flows VALUES (NEW.\"Mass_Flow\")",
          "CREATE TABLE guarded (\"Mass_Flow\" real)",
          "ALTER TABLE guarded ENABLE ROW LEVEL SECURITY",
          "CREATE POLICY all_in ON guarded FOR INSERT WITH CHECK (true)",
          "DROP ROLE IF EXISTS guest",
          "CREATE ROLE guest LOGIN PASSWORD 'guest'",
          "GRANT INSERT ON guarded TO guest"
        )
        yield* writeTo(PostgresSink.layer(options), samplesFrom(0, 3))
        yield* writeTo(PostgresSink.layer({ ...options, table: "ruled" }), samplesFrom(0, 4))
        assert.deepStrictEqual(yield* rows("SELECT count(*)::int AS n FROM flows"), [{ n: 7 }])
        const guest = { user: "guest", password: Redacted.make("guest") }
        yield* writeTo(PostgresSink.layer({ ...options, ...guest, table: "guarded" }), samplesFrom(0, 5))
        assert.deepStrictEqual(yield* rows("SELECT count(*)::int AS n FROM guarded"), [{ n: 5 }])
        yield* rows("REVOKE ALL ON guarded FROM guest; DROP ROLE guest")
      }))

    it.effect("needs no right on the schema of a column's type with COPY, and says before recording what inserts need", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared(
          "DROP SCHEMA IF EXISTS \"Kinds\" CASCADE",
          "CREATE SCHEMA \"Kinds\"",
          "CREATE TYPE \"Kinds\".gas AS ENUM ('N2')",
          "CREATE TABLE samples (device text, \"Mass_Flow\" real, \"Gas\" \"Kinds\".gas)",
          "DROP ROLE IF EXISTS guest",
          "CREATE ROLE guest LOGIN PASSWORD 'guest'",
          "GRANT INSERT ON samples TO guest"
        )
        const guest = { ...options, user: "guest", password: Redacted.make("guest") }
        const devices = samplesFrom(0, 1).map(({ frame }) => deviceOf(frame.format))
        const client = PgClient.layer({
          host: options.host,
          port: options.port,
          database: options.database,
          username: "guest",
          password: guest.password
        })
        const bySql = Layer.provide(SqlSink.layer({}), client)
        const refusals = yield* Effect.all([
          Effect.flip(PostgresSink.check({ ...guest, useCopy: false }, devices)),
          Effect.flip(writeTo(PostgresSink.layer({ ...guest, useCopy: false }), samplesFrom(0, 1))),
          Effect.flip(writeTo(bySql, samplesFrom(0, 1)))
        ])
        for (const { message } of refusals) {
          assert.include(
            message,
            "its column Gas is of type \"Kinds\".gas, and inserts need its schema: GRANT USAGE ON SCHEMA \"Kinds\" TO guest"
          )
        }
        yield* PostgresSink.check(guest, devices)
        yield* writeTo(PostgresSink.layer(guest), samplesFrom(0, 1))
        yield* rows("GRANT USAGE ON SCHEMA \"Kinds\" TO guest")
        yield* writeTo(PostgresSink.layer({ ...guest, useCopy: false }), samplesFrom(0, 2))
        yield* writeTo(bySql, samplesFrom(0, 3))
        assert.deepStrictEqual(yield* rows("SELECT count(*)::int AS n FROM samples"), [{ n: 6 }])
        yield* rows(
          "DROP TABLE samples; DROP SCHEMA \"Kinds\" CASCADE; REVOKE ALL ON SCHEMA public FROM guest; DROP ROLE guest"
        )
      }))

    it.effect.prop("COPY and insert store the same", {
      numbers: Schema.Array(Schema.Finite),
      texts: Schema.Array(Schema.String)
    }, ({ numbers, texts }) =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared(
          ...["copied", "inserted"].map((table) =>
            `CREATE TABLE ${table} (requested_at timestamptz, f8 float8, num numeric, i4 int4, i8 int8, txt text, jb jsonb)`
          )
        )
        const format = FrameFormat.make([
          ...["f8", "num", "i4", "i8"].map((name) => ({ name })),
          ...["txt", "jb"].map((name) => ({ name, kind: "text" as const }))
        ])
        const samples = [0, 0.5, -1e-300, 12_345_678.9, ...numbers].map((number, n) => {
          const text = texts[n % Math.max(1, texts.length)]
          return sampleOf(format, [number, number, number, number, text, text], n)
        })
        yield* writeTo(PostgresSink.layer({ ...options, table: "copied" }), samples)
        yield* writeTo(PostgresSink.layer({ ...options, table: "inserted", useCopy: false }), samples)
        const stored = (table: string) => rows(`SELECT to_jsonb(t) AS row, num::text FROM ${table} t ORDER BY ctid`)
        const copied = yield* stored("copied")
        assert.deepStrictEqual(copied, yield* stored("inserted"))
        assert.deepStrictEqual(
          copied.map(({ num }) => Number(num)),
          samples.map(({ frame }) => Number(frame.values[1]) + 0)
        )
      }), { arbitrary: { runs: 15 } })

    it.effect("makes one table if several sinks make it at once", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared()
        const layer = PostgresSink.layer({ ...options, createTable: true })
        yield* Effect.forEach([0, 1, 2], (n) => writeTo(layer, samplesFrom(n * 10, 10)), { concurrency: "unbounded" })
        assert.deepStrictEqual(yield* rows("SELECT count(*)::int AS n FROM samples"), [{ n: 30 }])
      }))

    it.effect("locks the columns once if the first batches come at once, and goes on", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared()
        const [left, right] = ["left", "right"].map((name) => FrameFormat.make([{ name }]))
        yield* Effect.gen(function*() {
          const sink = yield* SampleSink
          const write = (format: FrameFormat, value: number) => sink.write([sampleOf(format, [value])])
          yield* Effect.all([write(left!, 1), write(right!, 2)], { concurrency: 2 })
          yield* Effect.all([write(left!, 3), write(right!, 4)], { concurrency: 2 })
        }).pipe(Effect.provide(PostgresSink.layer({ ...options, createTable: true })))
        assert.deepStrictEqual(yield* rows("SELECT count(*)::int AS n FROM samples"), [{ n: 4 }])
      }))
  }
)
