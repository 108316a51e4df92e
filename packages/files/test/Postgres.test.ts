import { assert, describe, layer } from "@effect/vitest"
import type { Column } from "@sampleline/core"
import { conformance } from "@sampleline/core/testing"
import { PostgresSink } from "@sampleline/sinks"
import { Effect, Fiber, Redacted, Stream } from "effect"
import { TestClock } from "effect/testing"
import { PostgresServer, prepared } from "../../sinks/test/postgres.ts"
import { writeTo } from "../../sinks/test/writing.ts"
import { open } from "../src/index.ts"
import {
  AnySamples,
  EXPECTED,
  expectedRow,
  expectSuffixes,
  readEvents,
  readRows,
  rowsOf,
  samplesOf
} from "./recordings.ts"

/** An empty database, and how the sink and the reader reach it. */
const fresh = Effect.gen(function*() {
  const { options, rows } = yield* prepared()
  const { database, host, password, port, user } = options
  const url = `postgres://${user}:${
    encodeURIComponent(Redacted.value(password))
  }@${host}:${port}/${database}?sslmode=disable`
  return { layer: PostgresSink.layer({ ...options, createTable: true }), url, rows }
})

const samples = samplesOf([
  { flow: 1.25, note: "a" },
  { temperature: 20, count: 3 },
  ...Array.from({ length: 500 }, (_, n) => ({ flow: n % 7 === 0 ? null : n / 3, note: `it's "${n}"\n` }))
])
const expected = samples.map((sample) => expectedRow(sample, () => true, false))

layer(PostgresServer.layer)("Postgres", (it) => {
  describe("reads all that the sink promises", () => {
    const sink = Effect.map(fresh, ({ layer, url, rows }) => ({
      layer,
      locked: true,
      emptyIsNull: false,
      rowOptions: { rowIds: true },
      readEvents: readEvents(url),
      read: (columns: ReadonlyArray<Column>) =>
        Effect.flatMap(
          rows("SELECT to_regclass('samples') IS NULL AS missing"),
          ([found]) => found!["missing"] === true ? Effect.succeed([]) : readRows(url, columns)
        )
    }))
    for (const { check, promise } of conformance(sink)) it.effect(promise, () => check)
  })

  it.effect.prop("gives the samples that were written", [AnySamples], ([any]) =>
    Effect.scoped(Effect.gen(function*() {
      const { layer, url } = yield* fresh
      const samples = samplesOf([{ flow: 1, note: "a" }, { temperature: 1, count: 1 }, ...any])
      yield* writeTo(layer, samples)
      const expected = samples.map((sample) => expectedRow(sample, () => true, false))
      // Postgres has no NUL in texts.
      const stored = expected.map((row) => ({
        ...row,
        Note: row["Note"] === null ? null : String(row["Note"]).replaceAll("\0", "\uFFFD")
      }))
      assert.deepStrictEqual(yield* rowsOf(yield* open(url), { columns: EXPECTED }), stored)
    })), { arbitrary: { runs: 10 } })

  it.effect("reads from any position, also where rows were deleted", () =>
    Effect.gen(function*() {
      const { layer, rows, url } = yield* fresh
      yield* writeTo(layer, samples)
      const recorded = yield* open(url)
      assert.deepStrictEqual(yield* rowsOf(recorded, { columns: EXPECTED, batchRows: 64 }), expected)
      yield* rows("DELETE FROM samples WHERE sequence < 130 OR sequence BETWEEN 150 AND 495")
      yield* expectSuffixes(recorded)
      yield* rows("TRUNCATE samples")
      assert.deepStrictEqual(yield* rowsOf(recorded), [])
      assert.deepStrictEqual(yield* recorded.extent, { first: 0, end: 0 })
    }))

  it.effect("reads a view and a table with partitions by the numbers of their rows", () =>
    Effect.gen(function*() {
      const { layer, rows, url } = yield* fresh
      yield* writeTo(layer, samples)
      yield* rows(
        "CREATE VIEW seen AS SELECT * FROM samples; CREATE TABLE parts (LIKE samples) PARTITION BY LIST (device); "
          + "CREATE TABLE part PARTITION OF parts DEFAULT; INSERT INTO parts SELECT * FROM samples"
      )
      for (const table of ["seen", "parts"]) {
        const recorded = yield* open(url, { table })
        assert.deepStrictEqual(yield* recorded.extent, { first: 0, end: samples.length })
        assert.deepStrictEqual(yield* rowsOf(recorded, { columns: EXPECTED, batchRows: 100 }), expected)
        assert.deepStrictEqual(
          yield* rowsOf(recorded, { columns: EXPECTED, from: 490, to: 495 }),
          expected.slice(490, 495)
        )
      }
    }))

  it.effect("sees one state of the table in a stream, and reads rows that come later by another", () =>
    Effect.gen(function*() {
      const { layer, rows, url } = yield* fresh
      yield* writeTo(layer, samples)
      const recorded = yield* open(url)
      const { end } = yield* recorded.extent
      let count = 0
      yield* recorded.samples({ batchRows: 100, columns: [] }).pipe(Stream.runForEach((batch) =>
        Effect.suspend(() => {
          count += batch.rows
          return rows("INSERT INTO samples SELECT * FROM samples LIMIT 10")
        })
      ))
      assert.strictEqual(count, samples.length)
      assert.strictEqual((yield* rowsOf(recorded, { from: end })).length, 60)
      assert.deepStrictEqual(
        yield* rows("SELECT count(*)::int AS open FROM pg_stat_activity WHERE state = 'idle in transaction'"),
        [{ open: 0 }]
      )
    }))

  it.effect("gives times and numbers of tables of other types, whatever the time zone of the server", () =>
    Effect.gen(function*() {
      const { rows, url } = yield* fresh
      yield* rows(
        "ALTER DATABASE postgres SET timezone = 'Pacific/Auckland'; "
          + "CREATE TABLE samples (device varchar(9), requested_at timestamp, received_at text, midpoint_at bigint, n numeric(9,3), "
          + "i smallint, f real, ok boolean, u uuid); "
          + "INSERT INTO samples VALUES ('fuel', '2026-03-29 02:30:00.000001', '2026-03-29T02:30:00.000002Z', 1774751400000003, "
          + "12.345, -3, 'NaN', true, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11')"
      )
      const recorded = yield* open(url)
      const at = 1_774_751_400_000_000
      assert.deepStrictEqual(yield* rowsOf(recorded), [{
        device: "fuel",
        requested_at: at + 1,
        received_at: at + 2,
        midpoint_at: at + 3,
        n: 12.345,
        i: -3,
        f: Number.NaN,
        ok: 1,
        u: "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
      }])
      yield* rows("ALTER DATABASE postgres RESET timezone")
    }))

  it.effect("gives units and types of columns", () =>
    Effect.gen(function*() {
      const { layer, url } = yield* fresh
      yield* writeTo(layer, samples)
      const columns = yield* (yield* open(url)).columns
      assert.deepStrictEqual(
        columns.filter(({ field }) => field !== null),
        [
          { name: "Flow", type: "number", field: "Flow", units: { fuel: "SLPM" } },
          { name: "Note", type: "text", field: "Note", units: {} },
          { name: "Temperature", type: "number", field: "Temperature", units: { "oven, \"2\"": "°C" } },
          { name: "Count", type: "number", field: "Count", units: {} }
        ]
      )
    }))

  it.effect("says what is wrong without the password", () =>
    Effect.gen(function*() {
      const { rows, url } = yield* fresh
      const server = yield* PostgresServer
      yield* rows("CREATE TABLE other (a int)")
      const secret = Redacted.value(server.password)
      const failures = [
        [url, {}, "NotARecording", "there is no table public.samples"],
        [url, { table: "other" }, "NotARecording", "none is a time of a sample"],
        [url, { table: "x; DROP TABLE other" }, "Unreachable", "table"],
        [url.replace("owner:", "owner:x"), {}, "Unreachable", "password"],
        [url.replace("/postgres?", "/nowhere?"), {}, "Unreadable", "nowhere"],
        [url.replace(`:${server.address.port}`, ":1"), {}, "Unreachable", "check that the server runs there"],
        [`${url}&nonsense=1`, {}, "Unreachable", "no parameter"]
      ] as const
      for (const [place, options, reason, text] of failures) {
        const error = yield* Effect.flip(open(place, options))
        assert.strictEqual(error.reason, reason, error.message)
        assert.include(error.message, text)
        for (const shown of [error.message, JSON.stringify(error), String(error.cause)]) {
          assert.notInclude(shown, secret)
          assert.notInclude(shown, encodeURIComponent(secret))
        }
      }
    }))

  it.effect("gives up on a server that does not answer, and reads on when it is back", () =>
    Effect.gen(function*() {
      const { layer, url } = yield* fresh
      const server = yield* PostgresServer
      yield* writeTo(layer, samples)
      const recorded = yield* open(url)
      const error = yield* Effect.scoped(Effect.gen(function*() {
        yield* server.freeze
        const reading = yield* Effect.forkChild(Effect.flip(recorded.extent))
        yield* Effect.repeat(TestClock.adjust("10 seconds"), { until: () => reading.pollUnsafe() !== undefined })
        return yield* Fiber.join(reading)
      }))
      assert.deepStrictEqual([error.reason, error.message.includes("does not answer")], ["Unreachable", true])
      yield* server.stop("fast")
      assert.strictEqual((yield* Effect.flip(recorded.extent)).reason, "Unreachable")
      yield* server.start
      assert.strictEqual((yield* rowsOf(recorded)).length, samples.length)
    }))
})
