/**
 * Reads recordings as rows, and makes samples to record.
 */
import { assert } from "@effect/vitest"
import {
  type Cell,
  type Column,
  formatTimestamp,
  type FrameField,
  FrameFormat,
  makeFrame,
  type Run,
  Sample
} from "@sampleline/core"
import { Effect, Schema, Stream } from "effect"
import { open, type OpenOptions, type Recorded, type SampleBatch, type SampleOptions } from "../src/index.ts"

export type Row = { readonly [column: string]: Cell }

/** The rows of a batch. Times are numbers. */
const rowsIn = ({ columns, rows }: SampleBatch): ReadonlyArray<Row> =>
  Array.from({ length: rows }, (_, row) =>
    Object.fromEntries(
      [...columns].map(([name, values]): [string, Cell] => {
        if ("numbers" in values) return [name, values.nulls[row] === 1 ? null : values.numbers[row]!]
        const place = values.places[row]!
        return [name, place < 0 ? null : values.texts[place]!]
      })
    ))

/** The rows of samples, all of them or a part. */
export const rowsOf = (recorded: Recorded, options?: SampleOptions) =>
  Effect.map(Stream.runCollect(recorded.samples(options)), (batches) => batches.flatMap(rowsIn))

/** All rows of a place, times as text: as the sinks' promises are checked. */
export const readRows = (place: string, columns: ReadonlyArray<Column>, options?: OpenOptions) =>
  Effect.scoped(Effect.gen(function*() {
    const recorded = yield* open(place, options)
    const rows = yield* rowsOf(recorded)
    const times = new Set(columns.filter(({ type }) => type === "timestamp").map(({ name }) => name))
    return rows.map((row) =>
      Object.fromEntries(
        Object.entries(row).map(([name, cell]) => [
          name,
          times.has(name) && typeof cell === "number" ? formatTimestamp(cell) : cell
        ])
      )
    )
  }))

export const readEvents = (place: string, options?: OpenOptions) =>
  Effect.scoped(Effect.flatMap(open(place, options), ({ events }) => Stream.runCollect(events)))

/** Reading from a position gives what is behind it. */
export const expectSuffixes = Effect.fnUntraced(function*(recorded: Recorded) {
  const batches = yield* Stream.runCollect(recorded.samples({ batchRows: 1 }))
  const { end, first } = yield* recorded.extent
  assert.deepStrictEqual([{ first: batches[0]?.from ?? first, end: batches.at(-1)?.to ?? first }], [{ first, end }])
  // Each record is met at its beginning, and at one of its places.
  const positions = batches.flatMap(({ from, to }, at) => [from, from + 1 + at * 7 % (to - from)])
  for (const from of positions) {
    const suffix = batches.filter((batch) => batch.from >= from).flatMap(rowsIn)
    assert.deepStrictEqual(yield* rowsOf(recorded, { from, batchRows: 3 }), suffix)
  }
  const middle = batches[Math.floor(batches.length / 2)]?.from ?? 0
  const before = yield* rowsOf(recorded, { to: middle })
  assert.deepStrictEqual([...before, ...yield* rowsOf(recorded, { from: middle })], batches.flatMap(rowsIn))
})

const RUN: Run = { id: "019a0000-0000-7000-8000-000000000000", startedAt: 1_772_366_400_000_000, devices: [] }

/** A sample of a device whose fields have these values. */
export const sampleOf = (
  format: FrameFormat,
  values: ReadonlyArray<number | string | null>,
  { device = "fuel", n = 0, run = RUN }: { readonly device?: string; readonly n?: number; readonly run?: Run } = {}
): Sample =>
  new Sample({
    run,
    device,
    unitId: "A",
    sequence: n,
    requestedAt: run.startedAt + n * 1_001,
    receivedAt: run.startedAt + n * 1_001 + 500,
    requestedMonotonicNanos: n * 1_001_000,
    receivedMonotonicNanos: n * 1_001_000 + 500_000,
    frame: makeFrame(format, values)
  })

export const formatOf = (...fields: ReadonlyArray<Partial<FrameField> & { readonly name: string }>) =>
  FrameFormat.make(fields)

/** Two devices with other fields. */
const FLOW = formatOf({ name: "Flow", unit: "SLPM" }, { name: "Note", kind: "text" })
const OVEN = formatOf({ name: "Temperature", unit: "°C" }, { name: "Count", kind: "int" })

const ODD_TEXTS = [
  "\n",
  "\"",
  ",",
  "a,\"b\"\n\"c\"",
  "\"\n",
  "\n\",\"",
  "oven,A,2026-03-01T12:00:00.000000Z",
  "\r\n,,,,,,,,,,\n",
  "1.5",
  "µ 🧪"
]

/** Any samples of two devices. */
export const AnySamples = Schema.Array(Schema.Union([
  Schema.Struct({
    // @effect-diagnostics-next-line schemaNumber:off
    flow: Schema.NullOr(Schema.Number),
    note: Schema.Union([Schema.Null, Schema.String, Schema.Literals(ODD_TEXTS)])
  }),
  Schema.Struct({ temperature: Schema.NullOr(Schema.Finite), count: Schema.NullOr(Schema.Int) })
]))

export const samplesOf = (rows: typeof AnySamples.Type): ReadonlyArray<Sample> =>
  rows.map((row, n) =>
    "note" in row
      ? sampleOf(FLOW, [row.flow, row.note], { n })
      : sampleOf(OVEN, [row.temperature, row.count], { n, device: "oven, \"2\"" })
  )

/** What a sample's row is when it is read. */
export const expectedRow = (sample: Sample, keeps: (value: number) => boolean, emptyIsNull: boolean): Row => {
  const value = (name: string): Cell => {
    const cell = sample.frame.values[sample.frame.format.positionOf(name)] ?? null
    if (typeof cell === "number") return keeps(cell) ? cell + 0 : null
    return typeof cell !== "string" || emptyIsNull && cell === "" ? null : cell.toWellFormed()
  }
  return {
    device: sample.device,
    requested_at: sample.requestedAt,
    ...Object.fromEntries(["Flow", "Note", "Temperature", "Count"].map((name) => [name, value(name)]))
  }
}

/** The columns of those rows. */
export const EXPECTED = ["device", "requested_at", "Flow", "Note", "Temperature", "Count"]
