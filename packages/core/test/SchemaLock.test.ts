import { assert, describe, it } from "@effect/vitest"
import { FrameFormat } from "../src/Frame.ts"
import type { Cell } from "../src/Row.ts"
import { SchemaLock } from "../src/SchemaLock.ts"
import { sample } from "./sample.ts"

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
    assert.deepStrictEqual(locked.dropped.byColumn, { n: 1, f: 1 })
    const why = "the column cannot hold them"
    assert.deepStrictEqual(locked.dropped.takeUnreported(), [{ column: "n", why }, { column: "f", why }])
    assert.deepStrictEqual(locked.dropped.takeUnreported(), [])
  })

  it("keeps NaN and infinities in columns of floats and text, as far as the target can hold them", () => {
    const format = FrameFormat.make([{ name: "f" }, { name: "n", kind: "int" }, { name: "t", kind: "text" }])
    const samples = [Number.NaN, Number.POSITIVE_INFINITY].map((value) => sample(format, [value, value, value]))
    const all = SchemaLock.fromFormats([format])
    assert.deepStrictEqual(samples.map((sample) => all.row(sample).slice(6, 9)), [
      [Number.NaN, null, "NaN"],
      [Number.POSITIVE_INFINITY, null, "Infinity"]
    ])
    assert.deepStrictEqual(all.dropped.byColumn, { n: 2 })
    const ordered = SchemaLock.fromFormats([format], { holdsFloat: (value) => !Number.isNaN(value) })
    assert.deepStrictEqual(samples.map((sample) => ordered.row(sample)[6]), [null, Number.POSITIVE_INFINITY])
    assert.deepStrictEqual(ordered.dropped.byColumn, { f: 1, n: 2 })
  })

  it("writes to a writer what it gives as a row, each value by its column's type", () => {
    const format = FrameFormat.make([{ name: "f" }, { name: "n", kind: "int" }, { name: "t", kind: "text" }])
    const lock = SchemaLock.fromFormats([format])
    const written = (values: ReadonlyArray<number | string | null>) => {
      const cells: Array<string> = []
      const note = (type: string) => (value: number | string) => void cells.push(`${type} ${value}`)
      lock.write(sample(format, values), {
        float: note("float"),
        int: note("int"),
        text: note("text"),
        timestamp: note("timestamp"),
        missing: () => void cells.push("missing")
      })
      return cells.slice(6, 9)
    }
    assert.deepStrictEqual(written([100, 100, 100]), ["float 100", "int 100", "text 100"])
    assert.deepStrictEqual(written(["1.5", "2", "x"]), ["float 1.5", "int 2", "text x"])
    assert.deepStrictEqual(written(["off", 2.5, null]), ["missing", "missing", "missing"])
    assert.deepStrictEqual(lock.dropped.byColumn, { f: 1, n: 1 })
  })

  it("takes a type that no format knows from the values of the first batch", () => {
    const format = FrameFormat.fromRecord({ a: null, b: null, c: null, d: null, e: null })
    const known = FrameFormat.make([{ name: "e", kind: "int" }])
    const values = [[null, 1, "x", "x", null], [null, null, null, 2, 3]]
    const lock = SchemaLock.fromBatch([...values.map((row) => sample(format, row)), sample(known, [3])])
    assert.deepStrictEqual(names(lock), ["a any", "b float", "c text", "d text", "e int", "status text"])
    assert.isFalse(lock.isTyped)
    assert.deepStrictEqual(names(lock.typed()).slice(0, 2), ["a text", "b float"])
    assert.isTrue(lock.typed().isTyped)
    assert.deepStrictEqual(lock.dropped.byColumn, {})
  })

  it("keeps values of both types in a column without a type, and converts them if it was made text", () => {
    const format = FrameFormat.fromRecord({ a: null })
    const lock = SchemaLock.fromBatch([sample(format, [null])])
    assert.deepStrictEqual(["open", 2.5].map((value) => lock.row(sample(format, [value]))[6]), ["open", 2.5])
    assert.deepStrictEqual(lock.typed().row(sample(format, [2.5]))[6], "2.5")
    assert.deepStrictEqual(lock.dropped.byColumn, {})
  })

  it("converts and counts values of another type than their own field's, however they are written", () => {
    const format = FrameFormat.make([{ name: "f" }, { name: "t", kind: "text" }])
    const odd = [["OVER", 1.5], ["2.5", null]].map((values) => sample(format, values))
    const written = (lock: SchemaLock) =>
      odd.map((sample) => {
        const cells: Array<Cell> = []
        const push = (cell: Cell) => void cells.push(cell)
        lock.write(sample, { float: push, int: push, text: push, timestamp: push, missing: () => push(null) })
        assert.deepStrictEqual(cells, lock.row(sample))
        return cells.slice(6, 8)
      })
    const lock = SchemaLock.fromFormats([format])
    assert.deepStrictEqual(written(lock), [[null, "1.5"], [2.5, null]])
    assert.deepStrictEqual(lock.dropped.byColumn, { f: 2 })
    const untyped = SchemaLock.fromFormats([format], { untyped: true })
    assert.deepStrictEqual(untyped.row(odd[0]!).slice(6, 8), ["OVER", 1.5])
    assert.deepStrictEqual(untyped.dropped.byColumn, {})
    const counted = FrameFormat.make([{ name: "n", kind: "int" }])
    const counts = SchemaLock.fromFormats([counted], { untyped: true })
    assert.deepStrictEqual([1.5, "OVER", 7].map((value) => counts.row(sample(counted, [value]))[6]), [null, "OVER", 7])
    assert.deepStrictEqual(counts.dropped.byColumn, { n: 1 })
  })

  it("to an existing table writes only what both have, converted to the table's types", () => {
    const first = sample(FrameFormat.fromRecord({ Flow: 0, Pressure: 0 }), [1.5, 2])
    const lock = SchemaLock.fromTable([
      { name: "id", type: "int", nullable: false },
      { name: "flow", takes: "Flow", type: "text", nullable: true },
      { name: "device", type: "text", nullable: true }
    ], [first])
    assert.deepStrictEqual(lock.columns.map((column) => column.name), ["flow", "device"])
    assert.deepStrictEqual(lock.measured, ["flow"])
    assert.deepStrictEqual(lock.row(first), ["1.5", "fuel"])
    assert.deepStrictEqual(lock.dropped.byColumn, { Pressure: 1 })
  })

  it("does not count a conditional field that was not sent as dropped", () => {
    const lock = SchemaLock.fromFormats([FrameFormat.fromRecord({ Flow: 0 })])
    const later = FrameFormat.make([{ name: "Flow" }, { name: "Extra", conditional: true }])
    lock.row(sample(later, [1, undefined]))
    assert.deepStrictEqual(lock.dropped.byColumn, {})
  })
})
