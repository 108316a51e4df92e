import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { formatTimestamp } from "../src/formatTimestamp.ts"
import { FrameFormat, makeFrame } from "../src/Frame.ts"
import { MemorySink } from "../src/MemorySink.ts"
import { sampleToRow } from "../src/Row.ts"
import { type Run, Sample } from "../src/Sample.ts"
import { SampleSink } from "../src/SampleSink.ts"
import { SchemaLock } from "../src/SchemaLock.ts"
import { conformance } from "../src/testing.ts"

const sample = (
  format: FrameFormat,
  values: ReadonlyArray<number | string | null | undefined>,
  status: ReadonlyArray<string> = [],
  run: Run = { id: "run-1", startedAt: 0, devices: [] }
) =>
  new Sample({
    run,
    device: "fuel",
    unitId: "A",
    sequence: 7,
    requestedAt: 1_772_366_400_000_123,
    receivedAt: 1_772_366_400_006_246,
    requestedMonotonicNanos: 1_000_000_000,
    receivedMonotonicNanos: 1_006_123_400,
    frame: makeFrame(format, values, status)
  })

describe("sampleToRow", () => {
  it("has the fixed columns, the frame's fields, the status, in this order", () => {
    const format = FrameFormat.fromRecord({ Abs_Press: 0, Mass_Flow: 0, Gas: "N2" })
    const row = sampleToRow(sample(format, [14.62, -0, "N2"], ["MOV", "ADC", "MOV"]))
    assert.deepStrictEqual(Object.entries(row), [
      ["device", "fuel"],
      ["unit_id", "A"],
      ["requested_at", "2026-03-01T12:00:00.000123Z"],
      ["received_at", "2026-03-01T12:00:00.006246Z"],
      ["midpoint_at", "2026-03-01T12:00:00.003185Z"],
      ["latency_s", 0.006123],
      ["Abs_Press", 14.62],
      ["Mass_Flow", 0],
      ["Gas", "N2"],
      ["status", "ADC,MOV"]
    ])
  })

  it("adds the run's id and the sequence on demand", () => {
    const row = sampleToRow(sample(FrameFormat.fromRecord({ Flow: 0 }), [1]), { identity: true })
    assert.deepStrictEqual(Object.keys(row).slice(-3), ["status", "run_id", "sequence"])
    assert.strictEqual(row["sequence"], 7)
  })

  it("prefixes fields that bear a fixed column's name, and keeps names apart that differ only by case", () => {
    const format = FrameFormat.make([
      { name: "Status", kind: "text" },
      { name: "flow" },
      { name: "Flow" },
      { name: "flow" },
      { name: "__proto__" }
    ])
    const row = sampleToRow(sample(format, ["x", 1, 2, 3, 4]))
    assert.deepStrictEqual(Object.keys(row).slice(6), [
      "frame_Status",
      "flow",
      "Flow_2",
      "flow_2_2",
      "__proto__",
      "status"
    ])
  })

  it("gives null for absent, unsent, NaN and infinite values", () => {
    const format = FrameFormat.fromRecord({ a: 0, b: 0, c: 0, d: 0 })
    const row = sampleToRow(sample(format, [null, undefined, Number.NaN, Number.NEGATIVE_INFINITY]))
    assert.deepStrictEqual([row["a"], row["b"], row["c"], row["d"]], [null, null, null, null])
  })
})

describe("formatTimestamp", () => {
  it.prop("keeps every microsecond of every year up to 9999", [
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))
  ], ([micros]) => {
    const text = formatTimestamp(micros)
    assert.match(text, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
    assert.strictEqual(Date.parse(`${text.slice(0, 23)}Z`) * 1000 + Number(text.slice(23, 26)), micros)
  })
})

describe("FrameFormat", () => {
  it("is inferred from a plain object: a number is a float, and so is a null unless its kind is given", () => {
    const format = FrameFormat.fromRecord({ a: 1, b: null, c: null, d: "x" }, {
      kinds: { c: "int" },
      units: { a: "SCCM" }
    })
    assert.deepStrictEqual(format.fields.map((field) => [field.name, field.kind, field.unit]), [
      ["a", "float", "SCCM"],
      ["b", "float", null],
      ["c", "int", null],
      ["d", "text", null]
    ])
  })
})

describe("FrameFormat names", () => {
  it("that had to differ are still found by the names they were given", () => {
    const record = { "": 1, "\ud800": 2, "\ud801": 3, x: 4 }
    const format = FrameFormat.fromRecord(record)
    assert.deepStrictEqual(format.fields.map((field) => field.name), ["field", "\ufffd", "\ufffd_2", "x"])
    assert.deepStrictEqual(format.frame(record).values, [1, 2, 3, 4])
    const later = { ...record, Door: "open" }
    const extended = format.extended(later)
    assert.deepStrictEqual(extended.fields.map((field) => field.name), ["field", "\ufffd", "\ufffd_2", "x", "Door"])
    assert.deepStrictEqual(extended.frame(later).values, [1, 2, 3, 4, "open"])
    assert.strictEqual(extended.extended(record), extended)
  })
})

describe("SchemaLock", () => {
  const names = (lock: SchemaLock) => lock.columns.slice(6).map((column) => `${column.name} ${column.type}`)

  it("widens where formats disagree and keeps first-seen order", () => {
    const a = FrameFormat.make([{ name: "n", kind: "int" }, { name: "m", kind: "int" }])
    const b = FrameFormat.make([{ name: "x" }, { name: "m", kind: "text" }, { name: "n" }])
    assert.deepStrictEqual(names(SchemaLock.fromFormats([a, b])), ["n float", "m text", "x float", "status text"])
  })

  it("knows the columns of devices that missed the first batch", () => {
    const flow = FrameFormat.fromRecord({ Flow: 0 })
    const oven = FrameFormat.fromRecord({ Temperature: 0 })
    const device = { unitId: "A", identity: null }
    const run = {
      id: "run",
      startedAt: 0,
      devices: [{ ...device, name: "oven", format: oven }, { ...device, name: "fuel", format: flow }]
    }
    const first = sample(flow, [1], [], run)
    assert.deepStrictEqual(names(SchemaLock.fromBatch([first])), ["Flow float", "Temperature float", "status text"])
  })

  it("makes values its columns cannot hold null, and counts them", () => {
    const locked = SchemaLock.fromFormats([FrameFormat.make([{ name: "n", kind: "int" }, { name: "f" }])])
    const texts = FrameFormat.make([{ name: "n" }, { name: "f", kind: "text" }])
    assert.deepStrictEqual(locked.row(sample(texts, [2.5, "off"])).slice(6), [null, null, ""])
    assert.deepStrictEqual(locked.row(sample(texts, [2, "1.5"])).slice(6), [2, 1.5, ""])
    assert.deepStrictEqual(locked.dropped, { n: 1, f: 1 })
    assert.deepStrictEqual(locked.takeUnreported(), ["n", "f"])
    assert.deepStrictEqual(locked.takeUnreported(), [])
  })

  it("to an existing table writes only what both have, converted to the table's types", () => {
    const first = sample(FrameFormat.fromRecord({ Flow: 0, Pressure: 0 }), [1.5, 2])
    const lock = SchemaLock.fromTable([
      { name: "id", type: "int", nullable: false },
      { name: "Flow", type: "text", nullable: true },
      { name: "device", type: "text", nullable: true }
    ], [first])
    assert.deepStrictEqual(lock.columns.map((column) => column.name), ["Flow", "device"])
    assert.deepStrictEqual(lock.row(first), ["1.5", "fuel"])
    assert.deepStrictEqual(lock.dropped, { Pressure: 1 })
  })

  it("does not count a conditional field that was not sent as dropped", () => {
    const lock = SchemaLock.fromFormats([FrameFormat.fromRecord({ Flow: 0 })])
    const later = FrameFormat.make([{ name: "Flow" }, { name: "Extra", conditional: true }])
    lock.row(sample(later, [1, undefined]))
    assert.deepStrictEqual(lock.dropped, {})
  })
})

describe("MemorySink", () => {
  const fresh = Effect.sync(() => {
    const opened: Array<MemorySink["Service"]> = []
    return {
      layer: Layer.effect(SampleSink, Effect.tap(MemorySink.make, (sink) => Effect.sync(() => opened.push(sink)))),
      read: () => Effect.sync(() => opened.flatMap((sink) => sink.samples.map((sample) => sampleToRow(sample)))),
      locked: false,
      emptyIsNull: false
    }
  })
  for (const { check, promise } of conformance(fresh)) it.effect(promise, () => check)
})
