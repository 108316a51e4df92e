import { assert, it } from "@effect/vitest"
import { pipeToSink, Recorder } from "@sampleline/core"
import { Effect } from "effect"
import { PostgresSink, type PostgresSinkOptions } from "../../src/PostgresSink.ts"
import { gapSource } from "../gapSource.ts"
import { PostgresServer, prepared } from "../postgres.ts"
import { logged } from "../writing.ts"

const record = (options: PostgresSinkOptions, operator = "Ada") =>
  Recorder.record({ rateHz: 50, duration: "200 millis", metadata: { operator } }).pipe(
    pipeToSink(),
    Effect.provide([PostgresSink.layer(options), gapSource(2, 5)])
  )

it.layer(PostgresServer.layer, { excludeTestServices: true, timeout: "60 seconds" })(
  "the runs and events of PostgresSink",
  (it) => {
    it.effect.each([{ useCopy: true }, { useCopy: false }])(
      "tell who recorded what, how it ended, and why rows are missing: %o",
      ({ useCopy }) =>
        Effect.gen(function*() {
          const { options, rows } = yield* prepared()
          yield* record({ ...options, createTable: true, useCopy })
          yield* record({ ...options, createTable: true, useCopy }, "Grace")
          const runs = yield* rows(
            `SELECT metadata->>'operator' AS operator, ended_by, samples::int, rate_hz,
              devices->0->>'serial_number' AS serial, finished_at > started_at AS lasted
            FROM samples_runs ORDER BY started_at`
          )
          const run = { ended_by: "completed", samples: 7, rate_hz: 50, serial: "123456", lasted: true }
          assert.deepStrictEqual(runs, [{ operator: "Ada", ...run }, { operator: "Grace", ...run }])
          const gaps = yield* rows(
            `SELECT device, reason, count::int, until_at > since_at AS lasted, data->'reasons'->>'Timeout' AS timeouts
            FROM samples_events WHERE event IN ('DeviceBack', 'DeviceLost')`
          )
          const gap = { device: "probe", reason: "Timeout", count: 3, lasted: true, timeouts: "3" }
          assert.deepStrictEqual(gaps, [gap, gap])
        })
    )

    it.effect("end a run that was killed and what failed in it, with the time of its last row", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared()
        yield* record({ ...options, createTable: true })
        yield* rows(
          `DELETE FROM samples_events WHERE event IN ('DeviceBack', 'RunEnded');
          UPDATE samples_events SET at = '2026-03-01T11:30:00Z';
          UPDATE samples SET received_at = '2026-03-01T12:00:00.5Z';
          UPDATE samples_runs SET ended_by = NULL, finished_at = NULL, started_at = '2026-03-01T11:00:00Z'`
        )
        yield* record({ ...options, createTable: true })
        assert.deepStrictEqual(
          yield* rows(
            "SELECT ended_by, finished_at = '2026-03-01T12:00:00.5Z' AS at_last_row FROM samples_runs ORDER BY started_at"
          ),
          [{ ended_by: "unknown", at_last_row: true }, { ended_by: "completed", at_last_row: false }]
        )
        assert.deepStrictEqual(
          yield* rows(
            `SELECT device, reason, count, since_at = '2026-03-01T11:30:00Z' AS since, until_at = '2026-03-01T12:00:00.5Z' AS until
            FROM samples_events WHERE event = 'DeviceLost'`
          ),
          [{ device: "probe", reason: "Timeout", count: null, since: true, until: true }]
        )
      }))

    it.effect("are left out where no tables are made, which is said once", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared("CREATE TABLE samples (device text, \"Mass_Flow\" float8)")
        const lines = yield* logged(record(options))
        assert.strictEqual(lines.filter((line) => line.includes("events are not kept")).length, 1)
        assert.deepStrictEqual(yield* rows("SELECT to_regclass('samples_runs') IS NULL AS missing"), [{
          missing: true
        }])
      }))
  }
)
