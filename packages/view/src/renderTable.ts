/**
 * The live table as lines of text, for a terminal of any size.
 *
 * Devices with the same fields are rows of one grid, with a column for each field. If they differ, or the grid is too wide, each
 * device lists its values by name, on more rows where they need them. Below are the run, its outputs, the latest log lines and
 * the keys. Columns and rows keep their places while values change.
 */
import type { DeviceView, FieldView, TableSnapshot } from "./LiveTable.ts"
import { sparkline } from "./Sparkline.ts"
import { cut, fit, safe, widthOf } from "./TextWidth.ts"

/**
 * How far an output is.
 *
 * @since 0.1.0
 * @category models
 */
export interface OutputView {
  readonly name: string
  /** `waiting`: it fails in passing and is tried again. `stopped`: it has failed for good. */
  readonly state: "writing" | "waiting" | "stopped"
  readonly rows: number
  /** Samples and events that it lacks: 0 if it keeps up, null if that is not known. */
  readonly behind: number | null
  /** Null: not known, these two. */
  readonly bytes: number | null
  readonly freeBytes: number | null
}

/**
 * @since 0.1.0
 * @category models
 */
export interface JournalView {
  readonly name: string
  /** Samples and events that an output still needs. */
  readonly items: number
  /** Null: not known. */
  readonly bytes: number | null
}

/**
 * @since 0.1.0
 * @category models
 */
export interface LogLine {
  readonly level: "info" | "warning" | "error"
  readonly text: string
}

/**
 * The devices, and what else there is to see. What is left out is not shown.
 *
 * @since 0.1.0
 * @category models
 */
export interface TableView extends TableSnapshot {
  readonly outputs?: ReadonlyArray<OutputView> | undefined
  readonly journal?: JournalView | undefined
  /** The latest last. */
  readonly log?: ReadonlyArray<LogLine> | undefined
  /** The last line, such as what keys do. */
  readonly footer?: string | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface TableOptions {
  /** The width of the terminal. No line is wider. */
  readonly columns: number
  /** The height of the terminal. There is at least one line less. */
  readonly rows: number
  /** Whether to use the colours of the terminal. Default: true. */
  readonly colour?: boolean | undefined
  /** Whether the terminal shows more than ASCII. Names and units stay as they are. Default: true. */
  readonly unicode?: boolean | undefined
  /** The first device to show, from 0. Where all that are left would fit, the last ones are shown. Default: 0. */
  readonly first?: number | undefined
}

/**
 * The lines of the table.
 *
 * @since 0.1.0
 * @category constructors
 */
export const renderTable = (view: TableView, options: TableOptions): ReadonlyArray<string> => {
  const { first, foot, heading, rowsOf, shown } = layoutOf(view, options)
  const hidden = view.devices.filter((_, at) => at < first || at >= first + shown)
  const more: ReadonlyArray<Line> = hidden.length === 0
    ? []
    : [[{ text: moreText(hidden, view.devices.length, options) }]]
  return [...heading, ...view.devices.slice(first, first + shown).flatMap(rowsOf), ...more, ...foot]
    .slice(0, Math.max(0, options.rows - 1))
    .map((line) => textOf(line, options))
}

/**
 * Which devices `renderTable` shows, as there may be more than fit.
 *
 * @since 0.1.0
 * @category constructors
 */
export const devicesShown = (
  view: TableView,
  options: TableOptions
): { readonly first: number; readonly count: number } => {
  const { first, shown } = layoutOf(view, options)
  return { first, count: shown }
}

type Style = "plain" | "bold" | "dim" | "good" | "warning" | "bad"

/** By the terminal's own palette. Without colours only bold and dim are left. */
const STYLES: { readonly [style in Style]: { readonly always: string; readonly colour: string } } = {
  plain: { always: "", colour: "" },
  bold: { always: "1", colour: "" },
  dim: { always: "2", colour: "" },
  good: { always: "", colour: "32" },
  warning: { always: "1", colour: "33" },
  bad: { always: "1", colour: "31" }
}

interface Piece {
  readonly text: string
  readonly style?: Style
}

type Line = ReadonlyArray<Piece>

const textOf = (line: Line, options: TableOptions): string => {
  let room = options.columns
  let text = ""
  for (const { style = "plain", text: whole } of line) {
    const shown = cut(whole, room, room > 1 ? moreIn(options) : "")
    const codes = [STYLES[style].always, options.colour === false ? "" : STYLES[style].colour].filter((code) =>
      code !== ""
    )
    room -= widthOf(shown)
    text += codes.length === 0 || shown.trim() === "" ? shown : `\u001b[${codes.join(";")}m${shown}\u001b[m`
    if (shown !== whole) break
  }
  return text.trimEnd()
}

const moreIn = ({ unicode = true }: TableOptions): string => unicode ? "…" : "~"

/** How devices are shown. */
interface DeviceLayout {
  readonly heading: ReadonlyArray<Line>
  readonly heightOf: (device: DeviceView) => number
  readonly rowsOf: (device: DeviceView) => ReadonlyArray<Line>
}

interface Layout extends DeviceLayout {
  readonly foot: ReadonlyArray<Line>
  readonly first: number
  /** How many devices are shown. */
  readonly shown: number
}

const layoutOf = (view: TableView, options: TableOptions): Layout => {
  const { devices } = view
  const foot = footOf(view, options)
  const layout = gridOf(devices, options) ?? listOf(devices, options)
  const room = Math.max(1, options.rows - 1 - layout.heading.length - foot.length)
  const heights = devices.map(layout.heightOf)
  if (heights.reduce((sum, height) => sum + height, 0) <= room) {
    return { ...layout, foot, first: 0, shown: devices.length }
  }
  // A line says how many there are more.
  const last = heights.length - countFrom(heights.toReversed(), room - 1)
  const first = Math.max(0, Math.min(options.first ?? 0, last))
  return { ...layout, foot, first, shown: countFrom(heights.slice(first), room - 1) }
}

/** How many fit, at least one. */
const countFrom = (heights: ReadonlyArray<number>, room: number): number => {
  let left = room
  const count = heights.findIndex((height) => (left -= height) < 0)
  return count < 0 ? heights.length : Math.max(1, count)
}

const moreText = (hidden: ReadonlyArray<DeviceView>, all: number, options: TableOptions): string => {
  const bad = hidden.filter(isBad).length
  const dots = options.unicode === false ? "..." : "…"
  return `${dots} and ${hidden.length} more of ${all}${bad === 0 ? "" : `, ${bad} of them not ok`}`
}

// Devices.

const GAP = 2
/** From this width on states are told at length. */
const WIDE = 100
const LONGEST_NAME = 16
const NARROWEST_TREND = 6
const WIDEST_TREND = 60
const LONGEST_VALUE = 14
/** A number gets at least so many columns: it must not move the others when it grows. */
const NUMBER_COLUMNS = 6

const isBad = ({ state }: DeviceView): boolean => state !== "ok" && state !== "waiting"

const REASONS: { readonly [reason in NonNullable<DeviceView["reason"]>]: string } = {
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
  const { reason, sinceSeconds, state, status } = device
  const word = reason === null ? state : REASONS[reason]
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

/** The most digits of a number. */
const DIGITS = 7

const valueText = (field: FieldView | undefined): string => {
  const value = field?.value
  if (field === undefined || value === undefined) return ""
  if (value === null) return "-"
  if (typeof value === "string") return safe(value)
  const size = Math.abs(value)
  if (!Number.isFinite(value)) return String(value)
  if (size >= 10 ** DIGITS || (size > 0 && size < 1e-4)) return value.toExponential(3)
  const whole = size < 1 ? 1 : Math.floor(Math.log10(size)) + 1
  return value.toFixed(Math.min(field.decimals, DIGITS - whole))
}

// What stands below the devices.

const footOf = (view: TableView, options: TableOptions): ReadonlyArray<Line> => [
  [],
  runLine(view, options),
  ...outputLines(view, options),
  ...logLines(view.log, options),
  ...view.footer === undefined ? [] : [[{ text: safe(view.footer), style: "dim" } as const]]
]

/** As many parts as fit. */
const runLine = (view: TableView, { columns }: TableOptions): Line => {
  const { durationSeconds, elapsedSeconds, failures, lateTicks, rateHz, rateReached, samples } = view
  const left = durationSeconds === null
    ? ""
    : ` of ${clockText(durationSeconds)}, ${clockText(Math.max(0, durationSeconds - elapsedSeconds))} left`
  const reached = rateReached === null ? "-" : rateText(rateReached)
  const parts: ReadonlyArray<Piece> = [
    { text: clockText(elapsedSeconds) + left, style: "bold" },
    { text: rateHz === null ? `${reached} readings/s` : `${reached} of ${rateText(rateHz)} ticks/s` },
    { text: `${count(lateTicks)} late ticks`, style: lateTicks > 0 ? "warning" : "plain" },
    { text: `${count(failures)} failures`, style: failures > 0 ? "warning" : "plain" },
    { text: `${count(samples)} samples` }
  ]
  const space = "   "
  let width = -space.length
  return parts.filter(({ text }, at) => (width += space.length + widthOf(text)) <= columns || at === 0)
    .flatMap((part, at) => at === 0 ? [part] : [{ text: space }, part])
}

const MOST_OUTPUTS = 6

const outputLines = ({ journal, outputs = [] }: TableView, options: TableOptions): ReadonlyArray<Line> => {
  const shown = outputs.slice(0, MOST_OUTPUTS)
  const cells = shown.map(({ behind, bytes, freeBytes, name, rows, state }) => [
    safe(name),
    state,
    `${count(rows)} rows`,
    bytes === null ? "" : bytesText(bytes),
    behind === null ? "" : behind === 0 ? "keeps up" : `${count(behind)} behind`,
    freeBytes === null ? "" : `${bytesText(freeBytes)} free`
  ])
  const widths = [0, 1, 2, 3, 4, 5].map((at) => Math.min(24, Math.max(0, ...cells.map((cell) => widthOf(cell[at]!)))))
  const more = moreIn(options)
  const lines = cells.map((cell, row): Line =>
    cell.map((text, at) => ({
      text: fit(text, widths[at]!, more, at < 2 ? "left" : "right") + " ".repeat(GAP),
      style: at === 1 ? OUTPUT_STYLES[shown[row]!.state] : "plain"
    }))
  )
  const rest = outputs.length - shown.length
  return [
    ...lines,
    ...rest === 0 ? [] : [[{ text: `${options.unicode === false ? "..." : "…"} and ${rest} more outputs` }]],
    ...journal === undefined ? [] : [[{
      text: [
        `journal ${safe(journal.name)}`,
        ...journal.bytes === null ? [] : [bytesText(journal.bytes)],
        `${count(journal.items)} samples and events to write`
      ].join("  ")
    }]]
  ]
}

const OUTPUT_STYLES = { writing: "good", waiting: "warning", stopped: "bad" } as const

const LOG_STYLES = { info: "plain", warning: "warning", error: "bad" } as const

/** They have the same room always: nothing below them moves. */
const logLines = (log: TableView["log"], { rows }: TableOptions): ReadonlyArray<Line> => {
  if (log === undefined) return []
  const room = rows < 20 ? 1 : rows < 32 ? 3 : 6
  const lines = log.slice(-room).map(({ level, text }): Line => [{ text: safe(text), style: LOG_STYLES[level] }])
  return [...lines, ...Array.from({ length: room - lines.length }, () => [])]
}

/**
 * `0:01:00`, in hours, minutes and seconds.
 *
 * @since 0.1.0
 * @category text
 */
export const clockText = (seconds: number): string => {
  const whole = Math.floor(seconds)
  const [minutes, rest] = [Math.floor(whole / 60) % 60, whole % 60].map((part) => String(part).padStart(2, "0"))
  return `${Math.floor(whole / 3600)}:${minutes}:${rest}`
}

const ageText = (seconds: number): string => {
  if (seconds < 1) return "<1 s"
  if (seconds < 60) return `${Math.floor(seconds)} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`
}

const rateText = (rate: number): string => String(Number(rate.toPrecision(3)))

const count = (value: number): string => value.toLocaleString("en-US")

const bytesText = (bytes: number): string => {
  const units = ["B", "kB", "MB", "GB", "TB"]
  const at = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3))
  const amount = bytes / 1000 ** at
  return `${at === 0 || amount >= 100 ? Math.round(amount) : amount.toFixed(1)} ${units[at]}`
}
