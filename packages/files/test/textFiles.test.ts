import { assert, describe, it } from "@effect/vitest"
import { FrameFormat, type SampleSink, type SinkOpenError } from "@sampleline/core"
import { CsvSink, JsonlSink } from "@sampleline/sinks"
import { Effect, type Layer, Stream } from "effect"
import * as fs from "node:fs"
import { tempFile } from "../../sinks/test/tempFile.ts"
import { writeTo } from "../../sinks/test/writing.ts"
import { open, type RecordedColumn, type SampleBatch } from "../src/index.ts"
import { expectSuffixes, formatOf, readEvents, rowsOf, sampleOf, samplesOf } from "./recordings.ts"

const HEADER = "device,requested_at,Flow,Note,Later"
const TIMES = ["2026-03-01T12:00:00.000001Z", "2026-03-01T12:00:00.000002Z", "2026-03-01T12:00:00.000003Z"]
const AT = 1_772_366_400_000_001

/** A file with this text. */
const fileOf = (name: string, text: string | Buffer) =>
  Effect.map(tempFile(name), (path) => {
    fs.writeFileSync(path, text)
    return path
  })

const columnTypes = (path: string) =>
  Effect.scoped(Effect.gen(function*() {
    const columns = yield* (yield* open(path)).columns
    return Object.fromEntries(columns.map(({ name, type }) => [name, type]))
  }))

interface TextFormat {
  readonly name: string
  readonly layer: (
    options: { readonly path: string; readonly mode?: "append" }
  ) => Layer.Layer<SampleSink, SinkOpenError>
}

const FORMATS: ReadonlyArray<TextFormat> = [
  { name: "run.csv", layer: CsvSink.layer },
  { name: "run.jsonl", layer: JsonlSink.layer }
]

describe.each(FORMATS)(
  "$name",
  ({ layer, name }) => {
    it.effect("leaves out an incomplete last record, wherever the file was cut", () =>
      Effect.gen(function*() {
        const path = yield* tempFile(name)
        const notes = ["a\n\"b\"", "", "\"", ",\n,", "µ 🧪"]
        yield* writeTo(layer({ path }), samplesOf(notes.map((note, flow) => ({ flow, note }))))
        const whole = yield* open(path)
        const columns = ["device", "Note"]
        const batches = yield* Stream.runCollect(whole.samples({ batchRows: 1, columns }))
        const rows = yield* rowsOf(whole, { columns })
        const bytes = fs.readFileSync(path)
        const { first } = yield* whole.extent
        for (let cut = first; cut < bytes.length; cut += 3) {
          fs.writeFileSync(path, bytes.subarray(0, cut))
          const complete = batches.filter(({ to }) => to <= cut)
          assert.deepStrictEqual(yield* rowsOf(whole, { columns }), rows.slice(0, complete.length))
          assert.strictEqual((yield* whole.extent).end, complete.at(-1)?.to ?? first)
        }
      }))

    it.effect("has no columns and no rows before its first record, and then has them", () =>
      Effect.gen(function*() {
        const path = yield* tempFile(name)
        yield* writeTo(layer({ path }), samplesOf([{ flow: 1, note: "a" }]))
        const bytes = fs.readFileSync(path)
        for (const begun of [0, 5]) {
          fs.writeFileSync(path, bytes.subarray(0, begun))
          const recorded = yield* open(path)
          assert.deepStrictEqual([yield* recorded.columns, yield* rowsOf(recorded)], [[], []])
          const { end, first } = yield* recorded.extent
          assert.strictEqual(end, first)
          fs.appendFileSync(path, bytes.subarray(begun))
          assert.strictEqual((yield* rowsOf(recorded)).length, 1)
          assert.include((yield* recorded.columns).map((column) => column.name), "Flow")
        }
      }))

    it.effect("goes on at the end of what was there, and does not see the NULs of a power cut", () =>
      Effect.gen(function*() {
        const path = yield* tempFile(name)
        const samples = samplesOf(Array.from({ length: 3000 }, (_, n) => ({ flow: n, note: `text ${n},"\n` })))
        const sink = layer({ path })
        yield* writeTo(sink, samples.slice(0, 2990))
        const recorded = yield* open(path)
        const { end } = yield* recorded.extent
        yield* writeTo(layer({ path, mode: "append" }), samples.slice(2990))
        fs.appendFileSync(path, Buffer.alloc(5000))
        const rows = yield* rowsOf(recorded, { from: end, columns: ["Flow"] })
        assert.deepStrictEqual(rows.map((row) => row["Flow"]), samples.slice(2990).map(({ frame }) => frame.values[0]!))
        // Batches are cut where a part of the file ends, too.
        const all = yield* rowsOf(recorded, { columns: ["Flow"], batchRows: 1000 })
        assert.deepStrictEqual(all.map((row) => row["Flow"]), samples.map(({ frame }) => frame.values[0]!))
        assert.isBelow((yield* recorded.extent).end, fs.statSync(path).size - 4999)
      }))

    it.effect("goes on in the file that gets its name, behind the one that was moved away", () =>
      Effect.gen(function*() {
        const path = yield* tempFile(name)
        const moved = path.replace("run", "run-1")
        yield* writeTo(layer({ path }), samplesOf([0, 1, 2].map((flow) => ({ flow, note: "a" }))))
        const recorded = yield* open(path)
        const { end, first } = yield* recorded.extent
        const flowsFrom = (from: number) =>
          Effect.map(rowsOf(recorded, { from, columns: ["Flow"] }), (rows) => rows.map((row) => row["Flow"]))
        fs.renameSync(path, moved)
        assert.deepStrictEqual(yield* flowsFrom(end), [])
        // logrotate makes an empty file, and the recorder writes to the old one until it sees that.
        fs.writeFileSync(path, "")
        yield* writeTo(layer({ path: moved, mode: "append" }), samplesOf([{ flow: 3, note: "b" }]))
        assert.deepStrictEqual(yield* flowsFrom(end), [3])
        const other = FrameFormat.fromRecord({ Later: 0, Flow: 0 })
        yield* writeTo(
          layer({ path, mode: "append" }),
          [4, 5].map((flow) => sampleOf(other, [10 * flow, flow], { n: flow }))
        )
        assert.deepStrictEqual(yield* flowsFrom(end), [3, 4, 5])
        assert.deepStrictEqual(yield* flowsFrom(first), [0, 1, 2, 3, 4, 5])
        const cells = (yield* rowsOf(recorded)).map((row) => [row["Note"] ?? null, row["Later"] ?? null])
        assert.deepStrictEqual(cells, [["a", null], ["a", null], ["a", null], ["b", null], [null, 40], [null, 50]])
        const fields = (yield* recorded.columns).filter(({ field }) => field !== null).map((column) => column.name)
        assert.sameMembers(fields, ["Flow", "Note", "Later"])
        yield* expectSuffixes(recorded)
      }))

    it.effect("reads on in a newer copy that takes its place", () =>
      Effect.gen(function*() {
        const path = yield* tempFile(name)
        yield* writeTo(layer({ path }), samplesOf([0, 1].map((flow) => ({ flow, note: "a" }))))
        const recorded = yield* open(path)
        const { end, first } = yield* recorded.extent
        const copy = path.replace("run", "copy")
        fs.copyFileSync(path, copy)
        yield* writeTo(layer({ path: copy, mode: "append" }), samplesOf([{ flow: 2, note: "a" }]))
        fs.renameSync(copy, path)
        assert.deepStrictEqual((yield* rowsOf(recorded, { from: end })).map((row) => row["Flow"]), [2])
        assert.deepStrictEqual((yield* rowsOf(recorded)).map((row) => row["Flow"]), [0, 1, 2])
        assert.strictEqual((yield* recorded.extent).first, first)
      }))

    it.effect("reads a record that is longer than what is read at once", () =>
      Effect.gen(function*() {
        const path = yield* tempFile(name)
        const note = "\"long\"\n".repeat(200_000)
        yield* writeTo(
          layer({ path }),
          samplesOf([{ flow: 1, note: "a" }, { flow: 2, note }, { flow: 3, note: "b" }])
        )
        const recorded = yield* open(path)
        assert.deepStrictEqual((yield* rowsOf(recorded)).map((row) => row["Note"]), ["a", note, "b"])
      }))

    it.effect("names a damaged record, and reads on behind it", () =>
      Effect.gen(function*() {
        const path = yield* tempFile(name)
        const sink = layer({ path })
        yield* writeTo(sink, samplesOf(Array.from({ length: 20 }, (_, n) => ({ flow: n, note: "a" }))))
        const bytes = fs.readFileSync(path)
        const batches = yield* Stream.runCollect((yield* open(path)).samples({ batchRows: 1 }))
        const { from } = batches[10]!
        bytes.fill("x", from, from + 30)
        fs.writeFileSync(path, bytes)
        const recorded = yield* open(path)
        const before: Array<SampleBatch> = []
        const error = yield* recorded.samples().pipe(
          Stream.runForEach((batch) => Effect.sync(() => before.push(batch))),
          Effect.flip
        )
        assert.deepStrictEqual(before.map(({ columns, rows }) => [rows, Object.keys(columns.get("Flow")!)]), [[10, [
          "numbers",
          "nulls"
        ]]])
        assert.deepStrictEqual([error.reason, error.message], [
          "Damaged",
          `${path}: the record at byte ${from} is not as it was written; read on from position ${from + 1}`
        ])
        assert.strictEqual((yield* rowsOf(recorded, { to: from })).length, 10)
        assert.deepStrictEqual((yield* rowsOf(recorded, { from: from + 1 })).map((row) => row["Flow"]), [
          11,
          12,
          13,
          14,
          15,
          16,
          17,
          18,
          19
        ])
      }))
  }
)

describe("CSV of others", () => {
  it.effect("has the types that its first rows show, and loses nothing where a later value is of another type", () =>
    Effect.gen(function*() {
      const rows = [
        `fuel,${TIMES[0]},1,,`,
        `fuel,${TIMES[1]},2.5,007,`,
        ...Array.from({ length: 300 }, () => `fuel,${TIMES[2]},3,b,`),
        `oven,${TIMES[2]},off,c,4e+05`
      ]
      const path = yield* fileOf("run.csv", `\uFEFF${[HEADER, ...rows, ""].join("\r\n")}`)
      assert.deepStrictEqual(yield* columnTypes(path), {
        device: "text",
        requested_at: "timestamp",
        Flow: "number",
        Note: "text",
        Later: "any"
      })
      const recorded = yield* open(path)
      const read = yield* rowsOf(recorded, { batchRows: 2 })
      assert.deepStrictEqual(read.slice(0, 2), [
        { device: "fuel", requested_at: AT, Flow: 1, Note: null, Later: null },
        { device: "fuel", requested_at: AT + 1, Flow: 2.5, Note: "007", Later: null }
      ])
      assert.deepStrictEqual(read.at(-1), {
        device: "oven",
        requested_at: AT + 2,
        Flow: "off",
        Note: "c",
        Later: 400_000
      })
      yield* expectSuffixes(yield* open(yield* fileOf("short.csv", [HEADER, ...rows.slice(0, 9), ""].join("\n"))))
    }))

  it.effect("reads quoted numbers, and times of other zones; a time without a zone stays a text", () =>
    Effect.gen(function*() {
      const path = yield* fileOf(
        "run.csv",
        `"device","requested_at","Flow, ""raw""","local"\n"a","2026-03-01T14:00:00.000001+02:00","1.5","2026-03-01 14:00:00"\n`
          + `"a","2026-03-01T12:00:00.000002Z","","2026-03-01 14:00:01"\n`
      )
      assert.deepStrictEqual(yield* rowsOf(yield* open(path)), [
        { device: "a", requested_at: AT, "Flow, \"raw\"": 1.5, local: "2026-03-01 14:00:00" },
        { device: "a", requested_at: AT + 1, "Flow, \"raw\"": null, local: "2026-03-01 14:00:01" }
      ])
    }))
})

describe("JSON lines of others", () => {
  it.effect("may have other keys in later lines", () =>
    Effect.gen(function*() {
      const lines = [
        { device: "a", requested_at: TIMES[0], Flow: 1 },
        ...Array.from({ length: 300 }, () => ({ device: "a", requested_at: TIMES[1], Flow: null })),
        { device: "b", requested_at: TIMES[2], Heat: "high", Flow: "off", deep: { a: [1] }, on: true }
      ]
      const path = yield* fileOf("run.jsonl", lines.map((line) => `${JSON.stringify(line)}\n`).join(""))
      const recorded = yield* open(path)
      const rows = yield* rowsOf(recorded, { batchRows: 100 })
      assert.deepStrictEqual(rows[0], { device: "a", requested_at: AT, Flow: 1 })
      assert.deepStrictEqual(rows.at(-1), {
        device: "b",
        requested_at: AT + 2,
        Flow: "off",
        Heat: "high",
        deep: "{\"a\":[1]}",
        on: 1
      })
      assert.deepStrictEqual(yield* rowsOf(recorded, { columns: ["Flow", "Nothing"], to: 10 }), [{ Flow: 1 }])
    }))
})

describe("what is beside a text file", () => {
  const samples = [
    sampleOf(
      formatOf({ name: "Flow", unit: "SLPM" }, { name: "frame", kind: "int" }, { name: "Status", kind: "text" }),
      [1, 2, "on"]
    )
  ]
  const FLOW: RecordedColumn = { name: "Flow", type: "number", field: "Flow", units: { fuel: "SLPM" } }

  it.effect("gives fields and units; without it types are seen in the rows, and there are no events", () =>
    Effect.gen(function*() {
      for (const { layer, name } of FORMATS) {
        const path = yield* tempFile(name)
        yield* writeTo(layer({ path }), samples)
        const fields = Effect.map(
          Effect.flatMap(open(path), ({ columns }) => columns),
          (columns) => columns.filter(({ field }) => field !== null)
        )
        const others: ReadonlyArray<RecordedColumn> = [
          { name: "frame", type: "number", field: "frame", units: {} },
          { name: "frame_Status", type: "text", field: "Status", units: {} }
        ]
        assert.deepStrictEqual(yield* fields, [FLOW, ...others])
        fs.rmSync(`${path}-metadata.json`)
        fs.rmSync(`${path}-events.jsonl`, { force: true })
        assert.deepStrictEqual(yield* fields, [{ ...FLOW, units: {} }, ...others])
        assert.deepStrictEqual(yield* readEvents(path), [])
        fs.writeFileSync(`${path}-events.jsonl`, "not of a run\n")
        const error = yield* Effect.flip(readEvents(path))
        assert.deepStrictEqual([error.reason, error.message.includes(`line 1 of ${path}-events.jsonl`)], [
          "Damaged",
          true
        ])
      }
    }))
})

it.effect("what is not a recording is refused, with what was found", () =>
  Effect.gen(function*() {
    const folder = yield* tempFile("folder.csv")
    fs.mkdirSync(folder)
    const places = [
      [
        yield* fileOf("a.csv", "time,value\n1,2\n"),
        "NotARecording",
        "of its columns (time, value) none is a time of a sample"
      ],
      [yield* fileOf("a.csv", "just text"), "NotARecording", "it has no header of CSV"],
      [yield* fileOf("a.jsonl", "[1, 2]\n"), "NotARecording", "its first line is no JSON object"],
      [yield* fileOf("a.jsonl", "{\"a\":1}\n"), "NotARecording", "of its columns (a) none is a time of a sample"],
      [yield* fileOf("a.txt", "a"), "NotARecording", "its name does not tell its format; what can be read: "],
      [folder, "NotARecording", "it is a folder"],
      ["/nowhere/run.csv", "NotFound", "there is no such file; check its name"],
      ["run.txt", "NotFound", "there is no such file; check its name"],
      ["http://user:secret@host/run.csvx", "NotFound", "http://...: there is no such file"]
    ] as const
    for (const [place, reason, text] of places) {
      const error = yield* Effect.flip(open(place))
      assert.deepStrictEqual([error.reason, error.message.includes(text)], [reason, true], error.message)
      assert.notInclude(error.message, "secret")
    }
  }))
