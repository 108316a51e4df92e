/**
 * What stands below the devices: the run, its outputs and journal, the latest log lines, and the last line.
 */
import { dotsIn, type Line, moreIn, type Piece } from "./TableLine.ts"
import { ageText, bytesText, clockText, count, rateText } from "./TableText.ts"
import type { TableOptions, TableView } from "./TableView.ts"
import { fit, safe, widthOf } from "./TextWidth.ts"

export const footOf = (view: TableView, options: TableOptions): ReadonlyArray<Line> => [
  [],
  runLine(view, options),
  ...outputLines(view, options),
  ...alarmLines(view, options),
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

const GAP = 2
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
    ...rest === 0 ? [] : [[{ text: `${dotsIn(options)} and ${rest} more outputs` }]],
    ...journal === undefined ? [] : [[{
      text: [
        `journal ${safe(journal.name)}`,
        ...journal.bytes === null ? [] : [bytesText(journal.bytes)],
        `${count(journal.items)} samples and events to write`
      ].join("  ")
    }]]
  ]
}

const MOST_ALARMS = 4

const alarmLines = ({ alarms = [] }: TableView, options: TableOptions): ReadonlyArray<Line> => {
  const shown = alarms.slice(0, MOST_ALARMS)
  const lines = shown.map(({ sinceSeconds, text }): Line => [
    { text: `ALARM since ${ageText(sinceSeconds)}  ${safe(text)}`, style: "bad" }
  ])
  const rest = alarms.length - shown.length
  return rest === 0 ? lines : [...lines, [{ text: `${dotsIn(options)} and ${rest} more alarms`, style: "bad" }]]
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
