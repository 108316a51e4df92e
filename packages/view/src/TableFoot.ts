/**
 * What stands below the devices: the run, its outputs and journal, alarms, the latest log lines, and the last line.
 *
 * Where there is little room, the journal and the outputs give way first, and then alarms. One line of each of them stays, as do the
 * log and the last line.
 */
import { dotsIn, fitting, type Line, moreIn, type Piece } from "./TableLine.ts"
import { ageText, bytesText, clockText, count, rateText } from "./TableText.ts"
import type { TableOptions, TableView } from "./TableView.ts"
import { fit, safe, widthOf } from "./TextWidth.ts"

/** In `room` lines if that can be. */
export const footOf = (view: TableView, options: TableOptions, room: number): ReadonlyArray<Line> => {
  const run = runLine(view, options)
  const end: ReadonlyArray<Line> = [
    ...logLines(view.log, options),
    ...view.footer === undefined ? [] : [[{ text: safe(view.footer), style: "dim" } as const]]
  ]
  const left = room - 1 - end.length
  const alarms = alarmLines(view, options, left - (view.outputs === undefined ? 0 : 1))
  const foot = [run, ...outputLines(view, options, left - alarms.length), ...alarms, ...end]
  return foot.length < room ? [[], ...foot] : foot
}

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
/** The most lines of outputs, and of alarms. */
const MOST_OUTPUTS = 7
const MOST_ALARMS = 5

const outputLines = (
  { journal, outputs = [] }: TableView,
  options: TableOptions,
  room: number
): ReadonlyArray<Line> => {
  const cells = outputs.map(({ behind, bytes, freeBytes, name, rows, state }) => [
    safe(name),
    state,
    `${count(rows)} rows`,
    bytes === null ? "" : bytesText(bytes),
    behind === null ? "" : behind === 0 ? "keeps up" : `${count(behind)} behind`,
    freeBytes === null ? "" : `${bytesText(freeBytes)} free`
  ])
  const widths = [0, 1, 2, 3, 4, 5].map((at) => Math.min(24, Math.max(0, ...cells.map((cell) => widthOf(cell[at]!)))))
  const more = moreIn(options)
  const all = cells.map((cell, row): Line =>
    cell.map((text, at) => ({
      text: fit(text, widths[at]!, more, at < 2 ? "left" : "right") + " ".repeat(GAP),
      style: at === 1 ? OUTPUT_STYLES[outputs[row]!.state] : "plain"
    }))
  )
  const lines = fitting(all, Math.max(1, Math.min(MOST_OUTPUTS, room)), (hidden) => {
    const bad = outputs.slice(-hidden).filter(({ state }) => state !== "writing").length
    const text = `${dotsIn(options)} and ${hidden} more outputs`
    return bad === 0 ? [{ text }] : [{ text: `${text}, ${bad} of them not writing`, style: "warning" }]
  })
  if (journal === undefined || lines.length >= room) return lines
  return [...lines, [{
    text: [
      `journal ${safe(journal.name)}`,
      ...journal.bytes === null ? [] : [bytesText(journal.bytes)],
      `${count(journal.items)} samples and events to write`
    ].join("  ")
  }]]
}

const alarmLines = ({ alarms = [] }: TableView, options: TableOptions, room: number): ReadonlyArray<Line> =>
  fitting(
    alarms.map(({ sinceSeconds, text }) => [
      { text: `ALARM since ${ageText(sinceSeconds)}  ${safe(text)}`, style: "bad" }
    ]),
    Math.max(2, Math.min(MOST_ALARMS, room)),
    (hidden) => [{ text: `${dotsIn(options)} and ${hidden} more alarms`, style: "bad" }]
  )

const OUTPUT_STYLES = { writing: "good", waiting: "warning", stopped: "bad" } as const

const LOG_STYLES = { info: "plain", warning: "warning", error: "bad" } as const

/** They have the same room always: nothing below them moves. */
const logLines = (log: TableView["log"], { rows }: TableOptions): ReadonlyArray<Line> => {
  if (log === undefined) return []
  const room = rows < 20 ? 1 : rows < 32 ? 3 : 6
  const lines = log.slice(-room).map(({ level, text }): Line => [{ text: safe(text), style: LOG_STYLES[level] }])
  return [...lines, ...Array.from({ length: room - lines.length }, () => [])]
}
