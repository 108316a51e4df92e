/**
 * The devices of the table. Those with the same fields are rows of one grid, with a column for each field. If they differ, or the
 * grid is too wide, each device lists its values by name, on more rows where they need them.
 */
import type { DeviceView, FieldView } from "./LiveTable.ts"
import { sparkline } from "./Sparkline.ts"
import { type Line, moreIn, type Piece, type Style } from "./TableLine.ts"
import { ageText, valueText } from "./TableText.ts"
import type { TableOptions } from "./TableView.ts"
import { fit, safe, widthOf } from "./TextWidth.ts"

/** How devices are shown. */
export interface DeviceLayout {
  readonly heading: ReadonlyArray<Line>
  readonly heightOf: (device: DeviceView) => number
  readonly rowsOf: (device: DeviceView) => ReadonlyArray<Line>
}

export const layoutDevices = (devices: ReadonlyArray<DeviceView>, options: TableOptions): DeviceLayout =>
  gridOf(devices, options) ?? listOf(devices, options)

const GAP = 2
/** From this width on states are told at length. */
const WIDE = 100
const LONGEST_NAME = 16
const NARROWEST_TREND = 6
const WIDEST_TREND = 60
const LONGEST_VALUE = 14
/** A number gets at least so many columns: it must not move the others when it grows. */
const NUMBER_COLUMNS = 6

/** Whether a device is in trouble. */
export const isBad = ({ state }: DeviceView): boolean => state !== "ok" && state !== "waiting"

const REASONS: { readonly [reason in NonNullable<DeviceView["error"]>["reason"]]: string } = {
  Timeout: "no reply",
  Malformed: "garbled",
  Rejected: "refused",
  Disconnected: "gone",
  DeviceChanged: "changed",
  Busy: "busy",
  Unknown: "failing"
}

const AGE_COLUMNS = 6
const NARROW_STATE = 8
const WIDE_STATE = 22

const stateOf = (device: DeviceView, columns: number): Piece => {
  const { error, sinceSeconds, state, status } = device
  const word = error === null ? state : REASONS[error.reason]
  const since = columns < WIDE || sinceSeconds === null ? "" : ` since ${ageText(sinceSeconds)}`
  const codes = isBad(device) || status.length === 0 ? "" : ` ${safe(status.join(" "))}`
  return { text: word + since + codes, style: isBad(device) ? "bad" : state === "ok" ? "good" : "dim" }
}

/** Name, state and age: what the rows of all devices begin with. */
const beginningOf = (devices: ReadonlyArray<DeviceView>, options: TableOptions) => {
  const { columns } = options
  const name = Math.min(LONGEST_NAME, Math.max(6, ...devices.map((device) => widthOf(safe(device.name)))))
  const state = columns < WIDE ? NARROW_STATE : WIDE_STATE
  const more = moreIn(options)
  const cell = (text: string, width: number) => fit(text, width, more) + " ".repeat(GAP)
  return {
    width: name + state + AGE_COLUMNS + 3 * GAP,
    heading: [{
      text: cell("device", name) + cell("state", state) + fit("age", AGE_COLUMNS, more, "right"),
      style: "dim"
    }],
    of: (device: DeviceView): Line => {
      const { style = "plain", text } = stateOf(device, columns)
      const age = device.ageSeconds === null ? "-" : ageText(device.ageSeconds)
      return [
        { text: cell(safe(device.name), name), style: "bold" },
        { text: cell(text, state), style },
        { text: fit(age, AGE_COLUMNS, more, "right") + " ".repeat(GAP), style: isBad(device) ? "bad" : "plain" }
      ]
    }
  } as const
}

interface Column {
  /** Two lines of name, and one of unit. */
  readonly names: readonly [string, string]
  readonly unit: string
  readonly width: number
  readonly side: "left" | "right"
}

/** Null if fields differ between devices, or there is no room. */
const gridOf = (
  devices: ReadonlyArray<DeviceView>,
  options: TableOptions
): DeviceLayout | null => {
  const known = devices.filter(({ fields }) => fields.length > 0)
  const fields = known[0]?.fields ?? []
  if (known.some((device) => headOf(device.fields) !== headOf(fields))) return null
  const beginning = beginningOf(devices, options)
  const columns = fields.map((field, at) => columnOf(field, known.map((device) => device.fields[at]!)))
  const sum = columns.reduce((sum, { width }) => sum + width, 0)
  const room = options.columns - beginning.width - sum
  const withTrend = NARROWEST_TREND + GAP
  const gap = room >= GAP * columns.length + withTrend ? GAP : 1
  const left = room - gap * columns.length
  if (left < -gap) return null
  const trendField = known[0]?.trendField
  const trend = left < NARROWEST_TREND || trendField == null ? 0 : Math.min(WIDEST_TREND, left)
  const more = moreIn(options)
  const space = " ".repeat(gap)
  const line = (text: (column: Column) => string) =>
    columns.map((column) => fit(text(column), column.width, more, column.side) + space).join("")
  const blank = " ".repeat(beginning.width)
  const end = " ".repeat(GAP)
  return {
    heading: [
      [{ text: blank + line(({ names }) => names[0]), style: "dim" }],
      [
        ...beginning.heading,
        { text: end + line(({ names }) => names[1]), style: "dim" },
        ...trend === 0 ? [] : [
          {
            text: fit(safe(trendField ?? ""), trend, more),
            style: "dim"
          } as const
        ]
      ],
      [{ text: blank + line(({ unit }) => unit), style: "dim" }]
    ],
    heightOf: () => 1,
    rowsOf: (device) => [[
      ...beginning.of(device),
      {
        text: line((column) => valueText(device.fields[columns.indexOf(column)])),
        style: isBad(device) ? "dim" : "plain"
      },
      { text: trend === 0 ? "" : sparkline(device.trend, trend, options.unicode ?? true).padStart(trend) }
    ]]
  }
}

const headOf = (fields: ReadonlyArray<FieldView>): string =>
  JSON.stringify(fields.map(({ name, unit }) => [name, unit]))

const columnOf = (field: FieldView, values: ReadonlyArray<FieldView>): Column => {
  const isText = values.some(({ value }) => typeof value === "string")
  const unit = safe(field.unit ?? "")
  const least = Math.min(
    LONGEST_VALUE,
    Math.max(isText ? 1 : NUMBER_COLUMNS, widthOf(unit), ...values.map((value) => widthOf(valueText(value))))
  )
  const words = safe(field.name).split(/(?<=_)|(?= )/)
  let width = least
  while (width < LONGEST_VALUE && packed(words, width) === null) width++
  return { names: packed(words, width) ?? ["", words.join("")], unit, width, side: isText ? "left" : "right" }
}

/** A name on two lines, the second one full first; null if it takes more room. */
const packed = (words: ReadonlyArray<string>, width: number): readonly [string, string] | null => {
  for (let at = 0; at < words.length; at++) {
    const lines = [words.slice(0, at).join("").replace(/_$/, ""), words.slice(at).join("").trimStart()] as const
    if (lines.every((line) => widthOf(line) <= width)) return lines
  }
  return null
}

const listOf = (devices: ReadonlyArray<DeviceView>, options: TableOptions): DeviceLayout => {
  const beginning = beginningOf(devices, options)
  const trend = options.columns < WIDE ? NARROWEST_TREND + GAP : 20
  const indent = beginning.width + trend + GAP
  const end = " ".repeat(GAP)
  const valuesOf = (device: DeviceView) => flow(device.fields.map(listedText), options.columns - indent)
  return {
    heading: [[...beginning.heading, { text: `${end}${fit("trend", trend, "")}${end}values`, style: "dim" }]],
    heightOf: (device) => Math.max(1, valuesOf(device).length),
    rowsOf: (device) => {
      const style: Style = isBad(device) ? "dim" : "plain"
      const [first = "", ...more] = valuesOf(device)
      const drawn = sparkline(device.trend, trend, options.unicode ?? true)
      return [
        [...beginning.of(device), { text: drawn.padStart(trend) + end }, { text: first, style }],
        ...more.map((text): Line => [{ text: " ".repeat(indent) }, { text, style }])
      ]
    }
  }
}

const listedText = (field: FieldView): string => {
  const unit = safe(field.unit ?? "")
  return `${safe(field.name)} ${valueText(field)}${unit === "" ? "" : ` ${unit}`}`
}

/**
 * A device on one line: its state and its values, such as `fuel: ok   Mass_Flow 12.03 SCCM`.
 *
 * @since 0.1.0
 * @category text
 */
export const deviceText = (device: DeviceView): string =>
  [`${safe(device.name)}: ${stateOf(device, WIDE).text}`, ...device.fields.map(listedText)].join("   ")

/** Words on lines of so many columns, at least one on each. */
const flow = (words: ReadonlyArray<string>, columns: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  for (const word of words) {
    const line = lines.at(-1)
    if (line !== undefined && widthOf(line) + GAP + widthOf(word) <= columns) {
      lines[lines.length - 1] = `${line}  ${word}`
    } else lines.push(word)
  }
  return lines
}
