/**
 * The live table as lines of text, for a terminal of any size: devices, and below them what else there is to see. Columns and rows
 * keep their places while values change.
 */
import type { DeviceView } from "./LiveTable.ts"
import { type DeviceLayout, isBad, layoutDevices } from "./TableDevices.ts"
import { footOf } from "./TableFoot.ts"
import { dotsIn, fitting, type Line, lineText } from "./TableLine.ts"
import type { TableOptions, TableView } from "./TableView.ts"

/**
 * The lines of the table.
 *
 * @since 0.1.0
 * @category constructors
 */
export const renderTable = (view: TableView, options: TableOptions): ReadonlyArray<string> => {
  const { first, foot, heading, room, rowsOf, shown } = layoutOf(view, options)
  const hidden = view.devices.filter((_, at) => at < first || at >= first + shown)
  const more: ReadonlyArray<Line> = hidden.length === 0
    ? []
    : [[{ text: moreText(hidden, view.devices.length, options) }]]
  // Only a device that stands alone has more rows than fit.
  const rows = fitting(
    view.devices.slice(first, first + shown).flatMap(rowsOf),
    Math.max(1, room - more.length),
    (hidden) => [{ text: `${dotsIn(options)} and ${hidden} more lines of values` }]
  )
  return [...heading, ...rows, ...more, ...foot]
    .slice(0, Math.max(0, options.rows - 1))
    .map((line) => lineText(line, options))
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

interface Layout extends DeviceLayout {
  readonly foot: ReadonlyArray<Line>
  /** The lines for devices. */
  readonly room: number
  readonly first: number
  /** How many devices are shown. */
  readonly shown: number
}

const layoutOf = (view: TableView, options: TableOptions): Layout => {
  const { devices } = view
  const layout = layoutDevices(devices, options)
  const lines = options.rows - 1 - layout.heading.length
  const heights = devices.map(layout.heightOf)
  // One device is seen, and how many more there are.
  const foot = footOf(view, options, lines - Math.max(0, ...heights) - (devices.length > 1 ? 1 : 0))
  const room = Math.max(1, lines - foot.length)
  if (heights.reduce((sum, height) => sum + height, 0) <= room) {
    return { ...layout, foot, room, first: 0, shown: devices.length }
  }
  // A line says how many there are more.
  const last = heights.length - countFrom(heights.toReversed(), room - 1)
  const first = Math.max(0, Math.min(options.first ?? 0, last))
  return { ...layout, foot, room, first, shown: countFrom(heights.slice(first), room - 1) }
}

/** How many fit, at least one. */
const countFrom = (heights: ReadonlyArray<number>, room: number): number => {
  let left = room
  const count = heights.findIndex((height) => (left -= height) < 0)
  return count < 0 ? heights.length : Math.max(1, count)
}

const moreText = (hidden: ReadonlyArray<DeviceView>, all: number, options: TableOptions): string => {
  const bad = hidden.filter(isBad).length
  return `${dotsIn(options)} and ${hidden.length} more of ${all}${bad === 0 ? "" : `, ${bad} of them not ok`}`
}
