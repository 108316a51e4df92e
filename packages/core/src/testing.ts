/**
 * The promises of every sink, as checks for any sink. The checks are plain effects, for any test framework.
 *
 * A test says how to open a fresh sink, and how to read back what the sink wrote. The reader must not be the sink itself.
 */
import { type Array, Effect, type Layer, Logger, Predicate, Schema } from "effect"
import { type EventRow, eventToRow } from "./EventRow.ts"
import { type FrameField, FrameFormat, type FrameValue, makeFrame } from "./Frame.ts"
import { type Cell, type Column, type ColumnType, type RowOptions, rowWriter, sampleToRow } from "./Row.ts"
import type { RunEvent } from "./RunEvent.ts"
import { type Run, Sample } from "./Sample.ts"
import { SampleSink } from "./SampleSink.ts"
import { SchemaLock } from "./SchemaLock.ts"

/**
 * A fresh sink and its target.
 *
 * @since 0.1.0
 * @category models
 */
export interface SinkUnderTest {
  /** Opens the sink on the target. */
  readonly layer: Layer.Layer<SampleSink, unknown>
  /**
   * Reads the target after the sink has closed: all rows in order, times as text. A format without types takes them from these
   * columns.
   */
  readonly read: (
    columns: ReadonlyArray<Column>
  ) => Effect.Effect<ReadonlyArray<{ readonly [column: string]: Cell }>, unknown>
  /** Reads the events after the sink has closed, as `eventToRow` gives them. Default: the sink keeps none. */
  readonly readEvents?: Effect.Effect<ReadonlyArray<EventRow>, unknown> | undefined
  /** Whether the first batch fixes the columns. */
  readonly locked: boolean
  /** Whether an empty text reads back as null. */
  readonly emptyIsNull: boolean
  /**
   * Whether a column of this type keeps this value, which is NaN or an infinity. If not, the value reads back as null and is
   * counted. Default: columns of floats keep all, and columns of integers none.
   */
  readonly keeps?: ((type: ColumnType, value: number) => boolean) | undefined
  /** The row options that the sink's rows keep to. A table that a sink makes has row ids. */
  readonly rowOptions?: RowOptions | undefined
}

/**
 * A promise that a sink does not keep.
 *
 * @since 0.1.0
 * @category errors
 */
export class ConformanceError extends Schema.TaggedError<ConformanceError>()("ConformanceError", {
  promise: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `${this.promise}: ${this.detail}`
  }
}

/**
 * One promise. `check` fails with `ConformanceError` if the sink breaks it, and with the sink's own errors.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConformanceCheck<R = never> {
  readonly promise: string
  readonly check: Effect.Effect<void, unknown, R>
}

/**
 * The promises of a sink. `make` gives a fresh target on each run.
 *
 * @example
 * for (const { check, promise } of conformance(freshCsv)) it.effect(promise, () => check)
 *
 * @since 0.1.0
 * @category conformance
 */
export const conformance = <E, R>(make: Effect.Effect<SinkUnderTest, E, R>): ReadonlyArray<ConformanceCheck<R>> => [
  check(make, "writes each sample once, in order, across batches", function*({ expectRows, write }) {
    const format = formatOf({ name: "Mass_Flow", unit: "SCCM" }, { name: "Gas", kind: "text" })
    const samples = upTo(200).map((n) => sampleOf(format, [n / 8, n % 2 === 0 ? "N2" : null], { n }))
    yield* write(samples.slice(0, 64), samples.slice(64, 65), samples.slice(65))
    yield* expectRows(samples, [format])
  }),
  check(make, "keeps the microseconds of times", function*({ expectRows, write }) {
    const format = formatOf({ name: "Mass_Flow" })
    const samples = [0, 1, 999, 1000, 999_999].map((n) =>
      sampleOf(format, [n], { requestedAt: 1_772_366_400_000_000 + n })
    )
    yield* write(samples)
    yield* expectRows(samples, [format])
  }),
  check(make, "reads back every finite double, -0 as 0", function*({ expectRows, write }) {
    const format = formatOf({ name: "Value" })
    const values = [0, -0, 100, 0.1, 1 / 3, 5e-324, -1.7976931348623157e308, 1e21, 123456789012345680, -14.62]
    const samples = values.map((value, n) => sampleOf(format, [value], { n }))
    yield* write(samples)
    yield* expectRows(samples, [format])
  }),
  check(
    make,
    "keeps NaN and infinities where a column can hold them, apart from null; elsewhere they are null, and counted with one warning",
    function*(test) {
      const format = formatOf({ name: "Value" }, { name: "Count", kind: "int" })
      const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
      const samples = [1, null, ...values, null, 2].map((value, n) => sampleOf(format, [value, value], { n }))
      yield* test.write(samples.slice(0, 4), samples.slice(4))
      yield* test.expectRows(samples, [format])
      for (const [column, type] of [["Value", "float"], ["Count", "int"]] as const) {
        const lost = values.filter((value) => !keepsOf(test.sink)(type, value)).length
        const counted = test.report().columnsDropped[column] ?? 0
        const warnings = test.logged("Warn").filter((line) => line.includes(column)).length
        yield* test.expect([counted, warnings], [lost, Math.min(lost, 1)], `[values dropped, warnings] of ${column}`)
      }
    }
  ),
  check(make, "leaves text as it is", function*({ expectRows, write }) {
    const format = formatOf({ name: "Note", kind: "text" }, { name: "a \"quoted\", odd;\nname 🧪", kind: "text" })
    const texts = [
      "=1+1",
      "+1",
      "@x",
      "a,b;c\td",
      "say \"hi\"",
      "line\nbreak",
      "carriage\r\nreturn",
      " padded ",
      "🧪 µ ` 'é",
      "null",
      "NaN",
      "1e5",
      "\\n",
      "",
      "'); DROP TABLE samples; --"
    ]
    const samples = texts.map((text, n) => sampleOf(format, [text, text], { n }))
    yield* write(samples)
    yield* expectRows(samples, [format])
  }),
  check(
    make,
    "takes types from formats, so a first batch of nulls locks nothing wrong",
    function*({ expectRows, write }) {
      const format = formatOf({ name: "Mass_Flow" }, { name: "Gas", kind: "text" })
      const samples = [[null, null], [undefined, undefined], [1.5, "N2"], [2, "Air"]].map((values, n) =>
        sampleOf(format, values, { n })
      )
      yield* write(samples.slice(0, 2), samples.slice(2))
      yield* expectRows(samples, [format])
    }
  ),
  check(make, "widens int and float to float and other mixes to text", function*({ expectRows, write }) {
    const a = formatOf({ name: "Count", kind: "int" }, { name: "Mode", kind: "int" })
    const b = formatOf({ name: "Count" }, { name: "Mode", kind: "text" })
    const samples = [sampleOf(a, [3, 7], { n: 0 }), sampleOf(b, [3.5, "auto"], { n: 1 }), sampleOf(a, [4, 8], { n: 2 })]
    yield* write(samples)
    yield* expectRows(samples, [a, b])
  }),
  check(
    make,
    "gives devices of other formats one row each, with nulls where a device has no such field",
    function*({ expectRows, write }) {
      const flow = formatOf({ name: "Mass_Flow" }, { name: "Pressure" })
      const oven = formatOf({ name: "Temperature" }, { name: "Pressure" })
      const samples = [sampleOf(flow, [1, 2], { device: "fuel" }), sampleOf(oven, [300, 3], { device: "oven", n: 1 })]
      yield* write(samples)
      yield* expectRows(samples, [flow, oven])
    }
  ),
  check(
    make,
    "keeps names apart that differ only by case, or that are a fixed column's",
    function*({ expectRows, write }) {
      const format = formatOf({ name: "Flow" }, { name: "flow" }, { name: "FLOW", kind: "text" }, { name: "Device" }, {
        name: "status"
      })
      const samples = [sampleOf(format, [1, 2, "three", 4, 5])]
      yield* write(samples)
      yield* expectRows(samples, [format])
    }
  ),
  check(make, "drops and counts columns that come after the first batch, and warns once", function*(test) {
    const first = formatOf({ name: "Mass_Flow" })
    const later = formatOf({ name: "Mass_Flow" }, { name: "Valve_Drive" })
    const samples = [
      sampleOf(first, [1]),
      ...[1, 2, 3].map((n) => sampleOf(later, [n, n * 10], { n }))
    ]
    yield* test.write(samples.slice(0, 1), samples.slice(1, 3), samples.slice(3))
    yield* test.expectRows(samples, [first])
    const dropped = test.report().columnsDropped["Valve_Drive"] ?? 0
    const warnings = test.logged("Warn").filter((line) => line.includes("Valve_Drive")).length
    const expected = test.sink.locked ? [3, 1] : [0, 0]
    yield* test.expect([dropped, warnings], expected, "[values dropped, warnings]")
  }),
  check(make, "counts what it accepted", function*(test) {
    const format = formatOf({ name: "Mass_Flow" })
    yield* test.write(upTo(10).map((n) => sampleOf(format, [n], { n })), [sampleOf(format, [10], { n: 10 })])
    yield* test.expect(test.report().rows, 11, "rows reported")
  }),
  check(make, "keeps each event once, in order, if it keeps events", function*({ expect, expectRows, sink, write }) {
    const format = formatOf({ name: "Mass_Flow" })
    const samples = upTo(3).map((n) => sampleOf(format, [n], { n }))
    yield* write(EVENTS[0]!, samples.slice(0, 2), ...EVENTS.slice(1, -1), samples.slice(2), EVENTS.at(-1)!)
    yield* expectRows(samples, [format])
    if (sink.readEvents === undefined) return
    yield* expect(withSortedKeys(yield* sink.readEvents), withSortedKeys(EVENTS.map(eventToRow)), "events")
  }),
  check(make, "can be opened and closed without a sample", function*({ expectRows, write }) {
    yield* write()
    yield* expectRows([], [])
  })
]

/** The tools of a check. */
interface Bench {
  readonly sink: SinkUnderTest
  /** Opens the sink, writes the batches and events and closes it. */
  readonly write: (...items: ReadonlyArray<ReadonlyArray<Sample> | RunEvent>) => Effect.Effect<void, unknown>
  /** Compares the stored rows with the samples, in the columns that these formats lock. */
  readonly expectRows: (
    samples: ReadonlyArray<Sample>,
    formats: ReadonlyArray<FrameFormat>
  ) => Effect.Effect<void, unknown>
  readonly expect: (found: unknown, wanted: unknown, what: string) => Effect.Effect<void, ConformanceError>
  readonly report: () => ReturnType<SampleSink["Service"]["report"]>[number]
  readonly logged: (level: string) => ReadonlyArray<string>
}

const check = <E, R>(
  make: Effect.Effect<SinkUnderTest, E, R>,
  promise: string,
  body: (bench: Bench) => Generator<Effect.Effect<unknown, unknown>, void, never>
): ConformanceCheck<R> => ({
  promise,
  check: Effect.gen(function*() {
    const sink = yield* make
    const lines: Array<{ readonly level: string; readonly text: string }> = []
    let report: Bench["report"] = () => {
      throw new Error("nothing was written")
    }
    const expect: Bench["expect"] = (found, wanted, what) =>
      show(found) === show(wanted)
        ? Effect.void
        : Effect.fail(
          new ConformanceError({ promise, detail: `${what}: wanted ${show(wanted)}, found ${show(found)}` })
        )
    yield* Effect.gen(() =>
      body({
        sink,
        expect,
        report: () => report(),
        logged: (level) => lines.filter((line) => line.level === level).map((line) => line.text),
        write: (...items) =>
          Effect.gen(function*() {
            const service = yield* SampleSink
            report = () => service.report()[0]!
            for (const item of items) {
              yield* "_tag" in item
                ? service.event(item)
                : service.write(item as Array.NonEmptyReadonlyArray<Sample>)
            }
          }).pipe(
            Effect.provide([
              sink.layer,
              Logger.layer([
                Logger.make(({ logLevel, message }) => {
                  lines.push({ level: logLevel, text: [message].flat().join(" ") })
                })
              ])
            ])
          ),
        expectRows: (samples, formats) => {
          const columns = SchemaLock.fromFormats(formats, sink.rowOptions).columns
          const wanted = samples.map((sample) => wantedRow(sample, sink, columns))
          return Effect.flatMap(sink.read(columns), (rows) =>
            rows.length === wanted.length
              ? Effect.forEach(wanted, (row, at) => expect(rows[at], row, `row ${at}`), { discard: true })
              : expect(rows.length, wanted.length, "rows"))
        }
      })
    )
  })
})

/** The expected row. Locked columns may have other names and wider types than the sample's own row. */
const wantedRow = (sample: Sample, sink: SinkUnderTest, locked: ReadonlyArray<Column>) => {
  const row = sampleToRow(sample, sink.rowOptions)
  const columns = sink.locked ? locked : rowWriter(sample.frame.format, sink.rowOptions).columns
  return Object.fromEntries(columns.map(({ name, type }) => [name, wantedCell(row[name] ?? null, type, sink)]))
}

const wantedCell = (cell: Cell, type: ColumnType, sink: SinkUnderTest): Cell => {
  if (cell === null || (sink.emptyIsNull && cell === "")) return null
  if (type === "text") return String(cell)
  return typeof cell === "number" && !Number.isFinite(cell) && !keepsOf(sink)(type, cell) ? null : cell
}

const keepsOf = ({ keeps = (type) => type === "float" }: SinkUnderTest): NonNullable<SinkUnderTest["keeps"]> => keeps

/** The same text for the same values. -0 and 0 differ. */
const show = (value: unknown): string =>
  JSON.stringify(
    value,
    (_key, inner: unknown) => Object.is(inner, -0) ? "-0" : typeof inner === "number" ? String(inner) : inner
  )

/** Some targets store JSON with its keys in another order. */
const withSortedKeys = (value: unknown): unknown =>
  globalThis.Array.isArray(value)
    ? value.map(withSortedKeys)
    : Predicate.isObject(value)
    ? Object.fromEntries(
      Object.entries(value).toSorted(([a], [b]) => a < b ? -1 : 1).map(([key, inner]) => [key, withSortedKeys(inner)])
    )
    : value

const upTo = (length: number): ReadonlyArray<number> => globalThis.Array.from({ length }, (_, n) => n)

const formatOf = (...fields: ReadonlyArray<Partial<FrameField> & { readonly name: string }>) => FrameFormat.make(fields)

const RUN_ID = "019a0000-0000-7000-8000-000000000000"
const RUN_START = 1_772_366_400_000_000

const ALARM = {
  alarm: "\"fuel \\ '1'\".\"Mass, Flow\" < 90 \"°C\"",
  device: "fuel \\ '1'",
  target: null,
  field: "Mass, Flow",
  value: 84.25,
  unit: "°C",
  threshold: 90,
  since: RUN_START + 1,
  count: 1
}
const DISK_ALARM = {
  alarm: "disk < 1GB",
  device: null,
  target: "/data",
  field: null,
  value: 999_999_999,
  unit: "B",
  threshold: 1e9,
  since: RUN_START + 1,
  count: 3
}

/** What a failing device, a mark and an alarm tell, with characters that formats have to escape. */
const EVENTS: ReadonlyArray<RunEvent> = [
  {
    _tag: "RunStarted",
    runId: RUN_ID,
    at: RUN_START,
    rateHz: 10,
    host: null,
    version: "0.0.0",
    metadata: { operator: "Ada", notes: "a \"quoted\",\nodd; 'note' 🧪" },
    devices: [{
      device: "fuel",
      unitId: "A",
      manufacturer: null,
      model: "MC-5SLPM",
      serialNumber: "123456",
      firmware: null,
      calibrationDate: "2025-03-02",
      fields: [{ name: "Mass_Flow", unit: "SCCM", statistic: 5, kind: "float" }]
    }]
  },
  {
    _tag: "DeviceFailing",
    runId: RUN_ID,
    at: RUN_START + 1,
    device: "fuel",
    reason: "Timeout",
    detail: "no reply \"within\" 500 ms"
  },
  { _tag: "Marker", runId: RUN_ID, at: RUN_START + 2, text: "valve\topened\r\n" },
  { _tag: "AlarmRaised", runId: RUN_ID, at: RUN_START + 2, ...ALARM },
  { _tag: "AlarmRaised", runId: RUN_ID, at: RUN_START + 2, ...DISK_ALARM },
  { _tag: "AlarmCleared", runId: RUN_ID, at: RUN_START + 3, ...ALARM, until: RUN_START + 3, lastedMicros: 2 },
  {
    _tag: "DeviceBack",
    runId: RUN_ID,
    at: RUN_START + 3,
    device: "fuel",
    reason: "Timeout",
    detail: "no reply",
    since: RUN_START + 1,
    until: RUN_START + 3,
    lastedMicros: 2,
    failures: 2,
    reasons: { Timeout: 2 }
  },
  {
    _tag: "RunEnded",
    runId: RUN_ID,
    at: RUN_START + 4,
    cause: "stopped",
    detail: "SIGINT",
    startedAt: RUN_START,
    lastedMicros: 4,
    ticks: 5,
    samples: 3,
    thinned: 0,
    ticksSkipped: 0,
    ticksDropped: 0,
    maxDriftMs: 0.5,
    failures: { fuel: 2 },
    fieldFailures: { fuel: { Gas: 1 } },
    outputs: []
  }
]

const RUN: Run = { id: RUN_ID, startedAt: RUN_START, devices: [] }

const sampleOf = (format: FrameFormat, values: ReadonlyArray<FrameValue>, options: {
  readonly n?: number
  readonly device?: string
  readonly requestedAt?: number
} = {}): Sample => {
  const n = options.n ?? 0
  const requestedAt = options.requestedAt ?? RUN.startedAt + n * 100_000 + 17
  const latencyMicros = 6_123 + n
  return new Sample({
    run: RUN,
    device: options.device ?? "fuel",
    unitId: "A",
    sequence: n,
    requestedAt,
    receivedAt: requestedAt + latencyMicros,
    requestedMonotonicNanos: n * 1e8,
    receivedMonotonicNanos: n * 1e8 + latencyMicros * 1000,
    frame: makeFrame(format, values, n % 3 === 0 ? ["HLD", "ADC"] : [])
  })
}
