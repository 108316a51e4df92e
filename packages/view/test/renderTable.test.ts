import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import type { DeviceView, FieldView } from "../src/LiveTable.ts"
import { devicesShown, renderTable } from "../src/renderTable.ts"
import { frameOf } from "../src/Screen.ts"
import { sparkline } from "../src/Sparkline.ts"
import { deviceText } from "../src/TableDevices.ts"
import type { TableOptions, TableView } from "../src/TableView.ts"
import { widthOf } from "../src/TextWidth.ts"
import { device, emulator, view } from "./views.ts"

const plain = { columns: 100, rows: 24, colour: false } as const

const ESCAPE = "\u001b"
/** Colours, bold and dim. */
const STYLE = new RegExp(`${ESCAPE}\\[[\\d;]*m`, "g")

const textOf = (...args: Parameters<typeof renderTable>) =>
  renderTable(...args).map((line) => line.replaceAll(STYLE, "").trimEnd())

describe("the table", () => {
  it("is a grid if all devices have the same fields; below is what else there is to see", () => {
    const shown = view({
      devices: [
        device("fuel", { status: ["HLD"] }),
        device("air", {
          state: "failing",
          error: { reason: "Timeout", detail: "" },
          sinceSeconds: 12.9,
          ageSeconds: 13,
          trend: []
        })
      ],
      durationSeconds: 3600,
      outputs: [
        { name: "run.csv", state: "writing", rows: 1234, behind: 0, bytes: 12_345, freeBytes: 7.1e10 },
        { name: "postgres", state: "waiting", rows: 1000, behind: 234, bytes: null, freeBytes: null }
      ],
      journal: { name: "run.csv.journal", items: 234, bytes: 100_000 },
      alarms: [{ text: "air is silent for 10s: air has given no reading", sinceSeconds: 12.9 }],
      log: [{ level: "warning", text: "16:04:07 WARN air: no reply" }],
      footer: "q end"
    })
    assert.deepStrictEqual(textOf(shown, plain), [
      "                                          Mass    Flow",
      "device  state                      age    Flow    Temp  Gas  Mass_Flow",
      "                                          SCCM      °C",
      `fuel    ok HLD                    <1 s   12.50    22.0  N2${" ".repeat(38)}▁▅ █`,
      "air     no reply since 12 s       13 s   12.50    22.0  N2",
      "",
      "0:01:01 of 1:00:00, 0:58:58 left   9.98 of 10 ticks/s   0 late ticks   0 failures   1,234 samples",
      "run.csv   writing  1,234 rows  12.3 kB    keeps up  71.0 GB free",
      "postgres  waiting  1,000 rows           234 behind",
      "journal run.csv.journal  100 kB  234 samples and events to write",
      "ALARM since 12 s  air is silent for 10s: air has given no reading",
      "16:04:07 WARN air: no reply",
      "",
      "",
      "q end"
    ])
  })

  it("lists the values of each device by name if fields differ", () => {
    const oven = device("oven", {
      fields: [1, 2, 3].map((n) => ({ name: `Zone_Temperature_${n}`, unit: "°C", value: n * 100, decimals: 1 }))
    })
    assert.deepStrictEqual(textOf(view({ devices: [device("fuel"), oven] }), { ...plain, columns: 79 }).slice(0, 4), [
      "device  state        age  trend     values",
      "fuel    ok          <1 s      ▁▅ █  Mass_Flow 12.50 SCCM  Flow_Temp 22.0 °C",
      "                                    Gas N2",
      "oven    ok          <1 s      ▁▅ █  Zone_Temperature_1 100.0 °C"
    ])
  })

  it("lists them too where the grid is too wide", () => {
    const fields = Array.from({ length: 12 }, (_, n) => ({ name: `Field_${n}`, unit: "V", value: n, decimals: 3 }))
    const lines = textOf(view({ devices: [device("fuel", { fields })] }), { ...plain, columns: 79 })
    assert.deepStrictEqual(fields.filter(({ name }) => !lines.some((line) => line.includes(`${name} `))), [])
  })

  it("says how many devices are not shown, and how many of these are not ok; `first` scrolls, no further than to the last", () => {
    const devices = Array.from({ length: 40 }, (_, n) => device(`sim${n}`, n === 39 ? { state: "silent" } : {}))
    const shown = (first: number) => {
      const options = { ...plain, first }
      const lines = textOf(view({ devices }), options)
      const { count, first: from } = devicesShown(view({ devices }), options)
      assert.deepStrictEqual(
        lines.flatMap((line) => /^sim\d+/.exec(line) ?? []),
        devices.slice(from, from + count).map(({ name }) => name)
      )
      return [from, count, lines.find((line) => line.startsWith("…"))]
    }
    assert.deepStrictEqual(shown(0), [0, 17, "… and 23 more of 40, 1 of them not ok"])
    assert.deepStrictEqual(shown(30), [23, 17, "… and 23 more of 40"])
  })

  it("keeps alarms, the last log line and the last line in a small terminal; outputs and devices give way", () => {
    const output = { state: "writing", rows: 1, behind: 0, bytes: 1000, freeBytes: 1e9 } as const
    const crowded = (alarms: number, changes: Partial<TableView> = {}) =>
      view({
        devices: ["fuel", "air", "oven"].map((name) => device(name)),
        outputs: ["a.csv", "b.db", "c.parquet"].map((name) => ({ ...output, name })),
        journal: { name: "a.csv.journal", items: 0, bytes: 0 },
        alarms: Array.from({ length: alarms }, (_, n) => ({ text: `alarm ${n}`, sinceSeconds: 5 })),
        log: [{ level: "info", text: "earlier" }, { level: "warning", text: "16:04:07 WARN air: no reply" }],
        footer: "m mark   q end",
        ...changes
      })
    const below = (shown: TableView, rows: number) => textOf(shown, { ...plain, columns: 79, rows }).slice(4)
    const run = "0:01:01   9.98 of 10 ticks/s   0 late ticks   0 failures   1,234 samples"
    const outputs = [
      "a.csv      writing  1 rows  1.0 kB  keeps up  1.0 GB free",
      "b.db       writing  1 rows  1.0 kB  keeps up  1.0 GB free",
      "c.parquet  writing  1 rows  1.0 kB  keeps up  1.0 GB free"
    ]
    const end = ["16:04:07 WARN air: no reply", "m mark   q end"]
    const devices = "… and 2 more of 3"
    assert.deepStrictEqual(below(crowded(0), 12), [devices, run, ...outputs, ...end])
    assert.deepStrictEqual(
      below(crowded(1), 12),
      [devices, run, outputs[0], "… and 2 more outputs", "ALARM since 5 s  alarm 0", ...end]
    )
    assert.deepStrictEqual(
      below(crowded(12), 12),
      [devices, run, "… and 3 more outputs", "ALARM since 5 s  alarm 0", "… and 11 more alarms", ...end]
    )
    assert.deepStrictEqual(
      below(crowded(12), 14),
      [
        devices,
        run,
        "… and 3 more outputs",
        ...[0, 1, 2].map((n) => `ALARM since 5 s  alarm ${n}`),
        "… and 9 more alarms",
        ...end
      ]
    )
    const stopped = crowded(1, { outputs: ["a", "b", "c"].map((name) => ({ ...output, name, state: "stopped" })) })
    assert.include(below(stopped, 12), "… and 2 more outputs, 2 of them not writing")

    const fields = Array.from({ length: 40 }, (_, n) => ({ name: `Field_${n}`, unit: "V", value: n, decimals: 3 }))
    const tall = textOf(crowded(12, { devices: [device("fuel", { fields })] }), { ...plain, columns: 79, rows: 12 })
    assert.deepStrictEqual(tall.slice(4), [
      "… and 17 more lines of values",
      run,
      "… and 3 more outputs",
      "ALARM since 5 s  alarm 0",
      "… and 11 more alarms",
      ...end
    ])
  })

  it.each<readonly [Partial<DeviceView>, string]>([
    [{ state: "waiting", ageSeconds: null, fields: [] }, "fuel: waiting"],
    [
      { state: "changed", error: { reason: "DeviceChanged", detail: "" }, sinceSeconds: 61 },
      "fuel: changed since 1 min"
    ],
    [{ state: "silent", sinceSeconds: 7200 }, "fuel: silent since 2 h"],
    [{ state: "failing", error: { reason: "Disconnected", detail: "" }, sinceSeconds: 200_000 }, "fuel: gone since 2 d"]
  ])("tells the state in words: %j", (changes, text) => {
    assert.isTrue(deviceText(device("fuel", changes)).startsWith(text))
  })

  it.each<readonly [number | string | null | undefined, number, string]>([
    [12.5, 3, "12.500"],
    [-0.04, 2, "-0.04"],
    [123456.789, 3, "123456.8"],
    [12345678, 0, "1.235e+7"],
    [0.0000123, 0, "1.230e-5"],
    [0, 2, "0.00"],
    [NaN, 2, "NaN"],
    [-Infinity, 0, "-Infinity"],
    [null, 2, "-"],
    [undefined, 0, ""],
    ["N2\u001b[2J", 0, "N2[2J"]
  ])("shows %s with %i decimals as %j", (value, decimals, text) => {
    const fields = [{ name: "F", unit: null, value, decimals }]
    assert.strictEqual(deviceText(device("d", { fields })), `d: ok   F ${text}`)
  })

  it("has colours of the terminal's palette, and none if none are wanted; what is bold or dim stays so", () => {
    const codes = (colour: boolean) =>
      new Set(
        renderTable(view({ devices: [device("a"), device("b", { state: "silent" })] }), { ...plain, colour }).join("")
          .match(STYLE)
      )
    assert.sameMembers([...codes(true)], ["\u001b[m", "\u001b[2m", "\u001b[1m", "\u001b[32m", "\u001b[1;31m"])
    assert.sameMembers([...codes(false)], ["\u001b[m", "\u001b[2m", "\u001b[1m"])
  })

  it("is ASCII where the terminal has no more, but for names and units", () => {
    const devices = Array.from({ length: 40 }, (_, n) => device(`${n} is a name that is much too long`, { fields: [] }))
    const lines = textOf(view({ devices }), { ...plain, unicode: false })
    assert.match(lines.join(""), /^[ -~]*$/)
    assert.include(lines.join(""), "0 is a name tha~")
  })
})

/** Escape sequences, wide and combining characters, emoji, half ones, and any others. */
const Text = Schema.Array(Schema.Union([
  Schema.Literals([
    "\u001b[2J\u001b[H",
    "流量計",
    "👩‍🔬👍🏽",
    "\u202eabc",
    "e\u0301",
    "a\nb\tc",
    "\ud800",
    "℃µ",
    "\u009b2J",
    "ｱｲ",
    "_"
  ]),
  Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0x2ffff }))
]))
const textIn = (pieces: typeof Text.Type): string =>
  pieces.map((piece) => typeof piece === "number" ? String.fromCodePoint(piece) : piece).join("")

const Field = Schema.Struct({
  name: Text,
  unit: Schema.NullOr(Text),
  // @effect-diagnostics-next-line schemaNumber:off
  value: Schema.Union([Schema.Number, Text, Schema.Null, Schema.Undefined]),
  decimals: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 }))
})
const fieldIn = ({ decimals, name, unit, value }: typeof Field.Type): FieldView => ({
  name: textIn(name),
  unit: unit === null ? null : textIn(unit),
  value: typeof value === "object" && value !== null ? textIn(value) : value,
  decimals
})

const View = Schema.Struct({
  devices: Schema.Array(Schema.Struct({
    name: Text,
    state: Schema.Literals(["waiting", "ok", "failing", "changed", "silent"]),
    status: Text,
    trend: Schema.Array(Schema.NullOr(Schema.Finite)),
    fields: Schema.Array(Field)
  })),
  /** If there are any, all devices have them. */
  fields: Schema.Array(Field),
  text: Text
})
const viewIn = ({ devices, fields, text }: typeof View.Type): TableView => ({
  ...view({
    devices: devices.map(({ fields: own, name, state, status, trend }) =>
      device(textIn(name), {
        state,
        status: [textIn(status)],
        trend,
        fields: (fields.length > 0 ? fields : own).map(fieldIn)
      })
    ),
    outputs: [{ name: textIn(text), state: "waiting", rows: 1, behind: 1e9, bytes: 1e15, freeBytes: 0 }],
    journal: { name: textIn(text), items: 1, bytes: 0 },
    alarms: devices.map(({ name }) => ({ text: textIn(name), sinceSeconds: 1e6 })),
    log: [{ level: "error", text: textIn(text) }],
    footer: textIn(text)
  })
})
const Options = Schema.Struct({
  columns: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 200 })),
  rows: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 50 })),
  colour: Schema.Boolean,
  unicode: Schema.Boolean,
  first: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 }))
})

/** A terminal shows the lines as they are: nothing is wrapped, and no name moves the cursor. */
const staysInPlace = Effect.fnUntraced(function*(lines: ReadonlyArray<string>, { columns, rows }: TableOptions) {
  const { lines: shown, terminal, write } = emulator(columns, rows)
  yield* write(lines.map((line, row) => `\u001b[${row + 1};1H${line}`).join(""))
  assert.strictEqual(terminal.buffer.active.baseY, 0)
  return shown()
})

describe("any table", () => {
  it.prop(
    "is no wider than the terminal, one row less high, and has no control characters from names",
    [View, Options],
    (
      [view, options]
    ) => {
      const lines = renderTable(viewIn(view), options)
      assert.isBelow(lines.length, options.rows)
      for (const line of lines) {
        const text = line.replaceAll(STYLE, "")
        assert.isAtMost(widthOf(text), options.columns)
        assert.notMatch(text, /[\p{Cc}\p{Cf}\p{Cs}]/u)
      }
    },
    { arbitrary: { runs: 300 } }
  )

  it.effect.prop("is shown by a terminal in as many rows, and is changed to any other by one frame", [
    View,
    View,
    Options
  ], (
    [one, other, options]
  ) =>
    Effect.gen(function*() {
      const [first, second] = [renderTable(viewIn(one), options), renderTable(viewIn(other), options)]
      const { lines, write } = emulator(options.columns + 1, options.rows)
      yield* write(frameOf(null, first))
      yield* write(frameOf(first, second))
      assert.deepStrictEqual(lines(), yield* staysInPlace(second, { ...options, columns: options.columns + 1 }))
      assert.strictEqual(frameOf(second, [...second]), "")
    }), { arbitrary: { runs: 100 } })
})

describe("a trend", () => {
  it.each(
    [
      [[0, 1, 2, 3, 4, 5, 6, 7], 8, "▁▂▃▄▅▆▇█"],
      [[1, null, 3], 8, "▁ █"],
      [[0, 0, 4, 4], 2, "▁█"],
      [[null, null], 8, "  "],
      [[100, 100.1, 100], 8, "▄▅▄"],
      [[0, 0], 8, "▁▁"],
      [[], 8, ""]
    ] as const
  )("of %j in %i columns is %j", (points, columns, text) => {
    assert.strictEqual(sparkline(points, columns, true), text)
  })
})
