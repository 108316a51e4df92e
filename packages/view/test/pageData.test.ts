import { assert, describe, it } from "@effect/vitest"
import { formatTimestamp } from "@sampleline/core"
import { Effect, Schema } from "effect"
import { csvOf } from "../page/csv.ts"
import { firstFields, groupsOf } from "../page/groups.ts"
import { happeningsOf } from "../page/happenings.ts"
import { linesOf, loneIn } from "../page/lines.ts"
import { append, type Buckets, decodeRange, latestBefore, type Points, shownAt, shownBetween } from "../page/range.ts"
import { Timeline } from "../page/Timeline.ts"
import { isoText, microsOf, numberText, ticksOf, tickTexts } from "../page/times.ts"
import { limitsOf, logTicks, valueTickTexts } from "../page/valueAxis.ts"
import { encodeRange, madeUp } from "./pageServer.ts"

const START = 1_772_366_400_000_000
const bytesOf = (bytes: Uint8Array): ArrayBuffer => bytes.buffer as ArrayBuffer

const buckets = (n: ReadonlyArray<number>, first = START, width = 1e6): Buckets => ({
  kind: "buckets",
  from: first,
  until: first + n.length * width,
  isComplete: true,
  width,
  first,
  count: n.length,
  series: new Map([[7, {
    min: Float64Array.from(n, (n, at) => n === 0 ? NaN : at),
    max: Float64Array.from(n, (n, at) => n === 0 ? NaN : at + 2),
    mean: Float64Array.from(n, (n, at) => n === 0 ? NaN : at + 1),
    n: Uint32Array.from(n)
  }]])
})

const points = (times: ReadonlyArray<number>, values: ReadonlyArray<number>, from = times[0] ?? START): Points => ({
  kind: "points",
  from,
  until: times.at(-1) ?? from,
  isComplete: true,
  series: new Map([[7, { times: Float64Array.from(times), values: Float64Array.from(values) }]])
})

const Cell = Schema.Struct({
  value: Schema.Finite.check(Schema.isBetween({ minimum: -1e6, maximum: 1e6 })),
  n: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 }))
})

describe("an answer of ranges", () => {
  it.effect.prop(
    "buckets are read as they were written",
    [Schema.Array(Cell), Schema.String],
    ([cells, name]) =>
      Effect.sync(() => {
        const column = (add: number) => Float32Array.from(cells, ({ n, value }) => n === 0 ? NaN : value + add)
        const arrays = [column(-1), column(1), column(0), Uint32Array.from(cells, ({ n }) => n)]
        const header = {
          kind: "buckets",
          name,
          from: 1,
          until: 2,
          isComplete: false,
          width: 10,
          first: START,
          count: cells.length
        }
        const decoded = decodeRange(bytesOf(encodeRange(header, [0, 3].map((id) => ({ id, base: 5, arrays })))))
        assert.isTrue(decoded.kind === "buckets" && decoded.count === cells.length && !decoded.isComplete)
        for (const id of [0, 3]) {
          cells.forEach(({ n }, at) =>
            assert.deepStrictEqual(
              shownAt(decoded, id, START + at * 10 + 5),
              n === 0 ? undefined : {
                from: START + at * 10,
                min: 5 + arrays[0]![at]!,
                max: 5 + arrays[1]![at]!,
                mean: 5 + arrays[2]![at]!,
                n
              }
            )
          )
        }
      })
  )

  it.effect.prop(
    "samples are read as they were written",
    [Schema.Array(Schema.Finite), Schema.String],
    ([values, name]) =>
      Effect.sync(() => {
        const times = Float64Array.from(values, (_, at) => START + at)
        const arrays = [times, Float64Array.from(values)]
        const header = { kind: "points", name, from: 1, until: 2, isComplete: true }
        const decoded = decodeRange(
          bytesOf(encodeRange(header, [4, 9].map((id) => ({ id, count: values.length, arrays }))))
        )
        for (const id of [4, 9]) {
          assert.deepStrictEqual([...shownBetween(decoded, id, START, Infinity)].map(({ mean }) => mean), [...values])
        }
      })
  )

  it("a tail replaces what is kept from its start on", () => {
    const both = append(buckets([1, 1, 1, 1]), buckets([5, 5, 5], START + 2e6), START + 1e6)
    assert.isTrue(both?.kind === "buckets")
    if (both?.kind !== "buckets") return
    assert.deepStrictEqual([...both.series.get(7)!.n], [1, 5, 5, 5])
    assert.strictEqual(both.first, START + 1e6)
    const samples = append(points([1, 2, 3, 4], [1, 2, 3, 4]), points([3, 4, 5], [30, 40, 50]), 2)
    assert.deepStrictEqual([...shownBetween(samples!, 7, 0, 9)].map(({ mean }) => mean), [2, 30, 40, 50])
  })

  it("a tail that does not fit is refused", () => {
    assert.isUndefined(append(buckets([1, 1]), buckets([1], START + 2e6, 4e6), START))
    assert.isUndefined(append(buckets([1, 1]), buckets([1], START + 1.5e6), START))
    assert.isUndefined(append(buckets([1, 1]), buckets([1], START + 9e6), START))
    assert.isUndefined(append(buckets([1, 1]), points([1], [1]), START))
  })

  it("the latest value is the last one that is there", () => {
    assert.strictEqual(latestBefore(buckets([1, 1, 0, 0]), 7, Infinity)?.mean, 2)
    assert.strictEqual(latestBefore(points([1, 2, 3], [5, 6, NaN]), 7, 3)?.mean, 6)
    assert.isUndefined(latestBefore(points([], []), 7, 3))
  })
})

describe("lines", () => {
  const options = { rateHz: 100, isLog: false }

  it("a bucket is two points, the nearer one first, and a hole breaks the line", () => {
    const { times, values } = linesOf(buckets([9, 9, 0, 9]), [7], options)
    assert.deepStrictEqual([...times.subarray(0, 2)], [START + 0.25e6, START + 0.75e6])
    assert.deepStrictEqual(values, [[0, 2, 1, 3, null, null, 3, 5]])
  })

  it("buckets that are shorter than a step do not break the line", () => {
    const line = [0, 2, undefined, undefined, 2, 4, undefined, undefined, 4, 6]
    assert.deepStrictEqual(linesOf(buckets([1, 0, 1, 0, 1]), [7], { ...options, rateHz: null }).values, [line])
    assert.deepStrictEqual(linesOf(buckets([1, 0, 1, 0, 1]), [7], { ...options, rateHz: 0.5 }).values, [line])
  })

  it("a line is broken where the next sample comes late", () => {
    const { times, values } = linesOf(points([0, 10_000, 20_000, 50_000], [1, 2, 3, 4]), [7], options)
    assert.deepStrictEqual([...times], [0, 10_000, 20_000, 35_000, 50_000])
    assert.deepStrictEqual(values, [[1, 2, 3, null, 4]])
  })

  it("values that no line leads to are found: they are marked", () => {
    assert.deepStrictEqual(loneIn([1, null, 2, undefined, 3, 4, null, null, 5, 6, null, 7, 8, 9]), [0, 8])
    assert.deepStrictEqual(loneIn([undefined, 1]), [1])
    assert.deepStrictEqual(loneIn([]), [])
  })

  it("devices with times of their own are joined", () => {
    const both: Points = {
      ...points([0, 20], [1, 2]),
      series: new Map([
        [7, { times: Float64Array.of(0, 20), values: Float64Array.of(1, NaN) }],
        [8, { times: Float64Array.of(10, 20), values: Float64Array.of(3, 4) }]
      ])
    }
    const { times, values } = linesOf(both, [7, 8, 9], options)
    assert.deepStrictEqual([...times], [0, 10, 20])
    assert.deepStrictEqual(values, [[1, null, null], [undefined, 3, 4], [undefined, undefined, undefined]])
  })

  it("a hole reaches from value to value, however many values others have in it", () => {
    const both: Points = {
      ...points([0, 1], [1, 2]),
      series: new Map([
        [7, { times: Float64Array.of(0, 10_000, 90_000, 100_000), values: Float64Array.of(1, 2, 3, 4) }],
        [8, {
          times: Float64Array.from({ length: 10 }, (_, n) => 5000 + n * 10_000),
          values: new Float64Array(10)
        }]
      ])
    }
    const { times, values } = linesOf(both, [7, 8], options)
    for (const [at, value] of values[0]!.entries()) {
      assert.strictEqual(value === null, times[at]! > 10_000 && times[at]! < 90_000, `${times[at]}`)
    }
  })

  it("a logarithmic axis has no place for zero", () => {
    assert.deepStrictEqual(linesOf(points([0, 10, 20], [-1, 0, 5]), [7], { ...options, isLog: true }).values, [[
      null,
      null,
      5
    ]])
  })

  it.effect.prop("no peak is lost", [Schema.Array(Cell)], ([cells]) =>
    Effect.sync(() => {
      const range = buckets(cells.map(({ n }) => n))
      const drawn = linesOf(range, [7], options).values[0]!.filter((value) => typeof value === "number")
      const { max, min } = range.series.get(7)!
      const kept = cells.flatMap(({ n }, at) => n === 0 ? [] : [min[at]!, max[at]!])
      assert.deepStrictEqual(drawn.toSorted((a, b) => a - b), kept.toSorted((a, b) => a - b))
    }))
})

describe("the timeline", () => {
  const make = () => {
    const timeline = new Timeline({ isLive: true, rolling: Infinity, onChange: () => {}, onRoll: () => {} })
    timeline.grow({ from: 0, until: 1000e6 })
    return timeline
  }

  it("follows the newest data, and stops when somebody looks at something", () => {
    const timeline = make()
    timeline.follow(60e6)
    timeline.grow({ from: 0, until: 1100e6 })
    assert.deepStrictEqual(timeline.shown, { from: 1040e6, until: 1100e6 })
    timeline.zoom(0.5, 1100e6)
    timeline.settle()
    timeline.grow({ from: 0, until: 1200e6 })
    assert.deepStrictEqual(timeline.shown, { from: 1070e6, until: 1100e6 })
    timeline.goBack()
    assert.deepStrictEqual(timeline.shown, { from: 1140e6, until: 1200e6 })
    timeline.goForward()
    assert.deepStrictEqual(timeline.shown, { from: 1070e6, until: 1100e6 })
  })

  it("a zoom without a place goes on following, and following begins again as it was", () => {
    const timeline = make()
    timeline.follow(60e6)
    timeline.zoom(0.5)
    assert.strictEqual(timeline.rolling, 30e6)
    timeline.zoom(0.1)
    assert.deepStrictEqual(timeline.shown, { from: 997e6, until: 1000e6 })
    timeline.zoom(10)
    timeline.show({ from: 1e6, until: 2e6 })
    assert.isNull(timeline.rolling)
    timeline.follow()
    assert.deepStrictEqual(timeline.shown, { from: 970e6, until: 1000e6 })
  })

  it("a movement is one step of the way back", () => {
    const timeline = make()
    const before = timeline.shown
    for (let step = 0; step < 10; step++) timeline.pan(-0.1)
    timeline.settle()
    timeline.goBack()
    assert.deepStrictEqual(timeline.shown, before)
  })

  it("a zoom has limits", () => {
    const timeline = make()
    timeline.zoom(1e9, 500e6)
    assert.strictEqual(timeline.shown.until - timeline.shown.from, 4000e6)
    timeline.show({ from: 5, until: 5 })
    assert.strictEqual(timeline.shown.until - timeline.shown.from, 1000)
  })

  it("a window is no longer than the data", () => {
    const timeline = make()
    timeline.follow(3600e6)
    assert.deepStrictEqual(timeline.shown, { from: 0, until: 1000e6 })
  })
})

describe("what happened", () => {
  it("a hole is one happening, from its begin to its end", () => {
    const happenings = happeningsOf(madeUp().events)
    assert.deepStrictEqual(
      happenings.map((
        { device, from, kind, until }
      ) => [kind, device, (from - START) / 1e6, until === null ? null : (until - START) / 1e6]),
      [
        ["run", null, 0, 0],
        ["marker", null, 80, 80],
        ["hole", "fuel", 200, 230],
        ["hole", null, 400, 410],
        ["marker", null, 450, 450],
        ["alarm", "oven", 495, null]
      ]
    )
  })

  it("has a text that names what it concerns", () => {
    const { events: [first] } = madeUp()
    const textOf = (event: string, columns: object) => happeningsOf([{ ...first!, ...columns, event }])[0]!.text
    assert.strictEqual(
      textOf("DeviceFailing", { device: "a", reason: "Timeout", detail: "late" }),
      "a: fails. Timeout: late"
    )
    assert.strictEqual(textOf("DeviceBack", { device: "a", duration_s: 2.5 }), "a: no values, 2.5 s")
    assert.strictEqual(textOf("AlarmRaised", { device: "a", detail: "*.P > 3" }), "a: *.P > 3, raised")
    assert.strictEqual(
      textOf("AlarmCleared", { device: "a", detail: "a.P > 3", duration_s: 90 }),
      "a.P > 3, cleared, 90 s"
    )
    assert.strictEqual(textOf("OutputGap", { count: 7, data: { target: "run.csv" } }), "run.csv lacks 7 samples")
    assert.strictEqual(textOf("Later", {}), "Later")
  })

  it("what goes on ends with the run", () => {
    const { events } = madeUp()
    const [started, ...others] = happeningsOf([...events, {
      ...events[0]!,
      at: formatTimestamp(START + 600e6),
      event: "RunEnded",
      reason: "duration"
    }])
    assert.strictEqual(started?.kind, "run")
    assert.strictEqual(others.find(({ kind }) => kind === "alarm")?.until, START + 600e6)
  })
})

describe("texts of the page", () => {
  it.effect.prop("times are read as they are written", [
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4e15 }))
  ], ([time]) => Effect.sync(() => assert.strictEqual(microsOf(isoText(time)), time)))

  it("ticks have the date once", () => {
    const ticks = ticksOf(START - 30e6, START + 90e6, 60e6, { isUtc: true })
    assert.deepStrictEqual(ticks, [START, START + 60e6])
    assert.deepStrictEqual(tickTexts(ticks, 60e6, { isUtc: true }), ["12:00\n1 Mar", "12:01"])
    assert.deepStrictEqual(tickTexts([START, START + 10], 10, { isUtc: true }), [
      "12:00:00.00000\n1 Mar",
      "12:00:00.00001"
    ])
  })

  it("numbers have five digits", () => {
    assert.deepStrictEqual([0, 1, 123.456, -0.012345, 1234567, 1e9, 1e-6].map((value) => numberText(value)), [
      "0.0000",
      "1.0000",
      "123.46",
      "-0.0123",
      "1234567",
      "1.000e+9",
      "1.000e-6"
    ])
  })

  it("CSV quotes names, and no name is a formula", () => {
    const series = { id: 1, device: "=cmd()", field: "a,\"b\"", unit: null }
    assert.strictEqual(
      csvOf([{ series, from: START, mean: 1.5, min: 1, max: 2, n: 16 }]),
      "time,device,field,unit,mean,min,max,n\r\n2026-03-01T12:00:00.000000Z,'=cmd(),\"a,\"\"b\"\"\",,1.5,1,2,16\r\n"
    )
  })
})

describe("groups", () => {
  const series = (fields: ReadonlyArray<readonly [string, string | null]>) =>
    ["a", "b"].flatMap((device, at) => fields.map(([field, unit], id) => ({ id: at * 100 + id, device, field, unit })))

  it("series with the same unit are drawn together, mass flow and pressure first", () => {
    const groups = groupsOf({
      devices: [],
      series: series([["Temp", "C"], ["Pressure", "PSIA"], ["Mass_Flow", "SCCM"], ["Valve", null], ["Setpt", "SCCM"]])
    })
    assert.deepStrictEqual(groups.map(({ key, lines }) => [key, lines.length]), [["SCCM", 4], ["PSIA", 2], ["C", 2], [
      "Valve",
      2
    ]])
    assert.deepStrictEqual(groups[0]!.lines.map(({ dash, label, number }) => [label, number, dash.length]), [
      ["a Mass_Flow", 1, 0],
      ["a Setpt", 1, 2],
      ["b Mass_Flow", 2, 0],
      ["b Setpt", 2, 2]
    ])
  })

  it("six plots are shown until others are chosen", () => {
    const groups = groupsOf({
      devices: [],
      series: series(Array.from({ length: 9 }, (_, at) => [`f${at}`, null] as const))
    })
    assert.deepStrictEqual(firstFields(groups), ["f0", "f1", "f2", "f3", "f4", "f5"])
  })
})

describe("the axis of values", () => {
  it("has as many decimals as its steps need", () => {
    assert.deepStrictEqual(valueTickTexts([92.5, 95, 97.5]), ["92.5", "95.0", "97.5"])
    assert.deepStrictEqual(valueTickTexts([0, 200, 400]), ["0", "200", "400"])
    assert.deepStrictEqual(valueTickTexts([0, 2e6, 4e6]), ["0", "2e+6", "4e+6"])
    assert.deepStrictEqual(valueTickTexts([0.001, 0.01, 0.1, 1, 10]), ["0.001", "0.01", "0.1", "1", "10"])
  })

  it("a logarithmic one has ticks within a decade too", () => {
    assert.deepStrictEqual(logTicks(12.1, 18.9), [13, 14, 15, 16, 17, 18])
    assert.deepStrictEqual(logTicks(0.3, 40), [0.5, 1, 2, 5, 10, 20])
    assert.deepStrictEqual(logTicks(0.001, 9000), [0.001, 0.01, 0.1, 1, 10, 100, 1000])
  })

  it("has limits around the values, whatever they are", () => {
    assert.deepStrictEqual(limitsOf(0, 10, false), [-1, 11])
    assert.deepStrictEqual(limitsOf(0, 0, false), [-1, 1])
    assert.deepStrictEqual(limitsOf(null, null, false), [0, 1])
    assert.deepStrictEqual(limitsOf(-5, 3, true), [0.1, 10])
  })
})
