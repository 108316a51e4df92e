/**
 * Samples of two devices that differ in their fields, and values of every kind.
 */
import {
  type Cell,
  type Device,
  FrameFormat,
  type FrameValue,
  makeFrame,
  type Run,
  type RunEvent,
  Sample,
  sampleToRow
} from "@sampleline/core"
import type { RecordedColumn } from "../src/index.ts"

const fuel = FrameFormat.make([
  { name: "Mass_Flow", unit: "SCCM" },
  { name: "Gas", kind: "text" },
  { name: "Counter", kind: "int", unit: "1" }
])
const air = FrameFormat.make([{ name: "Mass_Flow", unit: "SLPM" }, { name: "Pressure", unit: "PSIA" }, {
  name: "Status"
}])

const deviceOf = (name: string, unitId: string, format: FrameFormat): Device => ({
  name,
  unitId,
  format,
  identity: { manufacturer: "Alicat", model: "MC", serialNumber: "1", firmware: null, calibrationDate: null }
})

export const run: Run = {
  id: "019a0000-0000-7000-8000-000000000000",
  startedAt: 1_772_366_400_000_000,
  devices: [deviceOf("fuel", "A", fuel), deviceOf("air", "B", air)]
}

/** A sample of one device or the other by turns. */
export const sampleAt = (n: number, values: (n: number) => ReadonlyArray<FrameValue> = valuesAt): Sample => {
  const { format, name, unitId } = run.devices[n % 2]!
  return new Sample({
    run,
    device: name,
    unitId,
    sequence: n,
    tick: n % 7 === 0 ? null : n >> 1,
    requestedAt: run.startedAt + n * 1_000 + 1,
    receivedAt: run.startedAt + n * 1_000 + 501,
    requestedMonotonicNanos: n * 1_000_000,
    receivedMonotonicNanos: n * 1_000_000 + 500_000 + (n % 3) * 1_000,
    frame: makeFrame(format!, values(n), n % 5 === 0 ? ["MOV", "HLD"] : [])
  })
}

const NUMBERS = [0.1, -1.5e300, 0, -0, NaN, Infinity, -Infinity, 5e-324, null, undefined]
const TEXTS = ["N2", "", "a,\"b\"\nc", "äöü 😀", null, undefined]

const valuesAt = (n: number): ReadonlyArray<FrameValue> =>
  n % 2 === 0
    ? [NUMBERS[(n >> 1) % NUMBERS.length], TEXTS[(n >> 1) % TEXTS.length], n % 9 === 0 ? null : n * 1_000_003]
    : [n / 8, NUMBERS[(n >> 1) % NUMBERS.length], n]

export const samplesFrom = (start: number, count: number): ReadonlyArray<Sample> =>
  Array.from({ length: count }, (_, n) => sampleAt(start + n))

export const markerAt = (n: number): RunEvent => ({
  _tag: "Marker",
  runId: run.id,
  at: run.startedAt + n * 1_000,
  text: `marker ${n}`
})

/** What the rows of samples must be, with a null in columns that other devices have. */
export const expectedRows = (samples: ReadonlyArray<Sample>, columns: ReadonlyArray<RecordedColumn>) =>
  samples.map((sample) => {
    const { midpointAt, receivedAt, requestedAt } = sample
    const row: { readonly [column: string]: Cell } = {
      ...sampleToRow(sample, { rowIds: true }),
      requested_at: requestedAt,
      received_at: receivedAt,
      midpoint_at: midpointAt
    }
    return Object.fromEntries(columns.map(({ name }) => [name, row[name] ?? null]))
  })
