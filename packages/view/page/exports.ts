/**
 * Files of what is on the screen: the data as CSV, the plots as a picture with their titles and legends.
 */
import { csvOf } from "./csv.ts"
import { element } from "./dom.ts"
import { type Line, titleOf } from "./groups.ts"
import type { Page } from "./Page.ts"
import type { Plot } from "./Plot.ts"
import { latestBefore } from "./range.ts"
import { isoText, numberText, stampText, zoneText } from "./times.ts"

export const saveCsv = (page: Page): void =>
  save(new Blob([csvOf(page.shown())], { type: "text/csv" }), `${nameOf(page)}.csv`)

export const savePng = (page: Page): void =>
  picture(page).toBlob((blob) => blob !== null && save(blob, `${nameOf(page)}.png`))

const nameOf = ({ timeline, view }: Page): string =>
  `${view.title} ${isoText(timeline.shown.from).slice(0, 19)}`.replace(/[^\p{L}\p{N}._-]+/gu, "-")

const save = (blob: Blob, name: string): void => {
  const href = URL.createObjectURL(blob)
  element("a", { href, download: name }).click()
  setTimeout(() => URL.revokeObjectURL(href), 10_000)
}

/** Pixels of the sheet, these. */
const MARGIN = 16
const TITLE = 48
const HEAD = 26
const ENTRY = 18
const ENTRY_WIDTH = 210
/** Characters. */
const LONGEST_LABEL = 20

const picture = (page: Page): HTMLCanvasElement => {
  const plots = page.plots.filter(({ isCollapsed }) => !isCollapsed)
  for (const plot of plots) plot.draw(true)
  const { height, placed, width } = placesOf(plots)
  const ratio = devicePixelRatio
  const canvas = element("canvas", { width: String(width * ratio), height: String(height * ratio) })
  const ctx = canvas.getContext("2d")!
  const { settings, theme, timeline: { shown }, view } = page
  ctx.scale(ratio, ratio)
  ctx.fillStyle = theme.background
  ctx.fillRect(0, 0, width, height)
  const step = (shown.until - shown.from) / 100
  const [from, until] = [shown.from, shown.until].map((time) => stampText(time, step, settings))
  drawText(ctx, view.title, MARGIN, 26, "600 16px", theme.text)
  drawText(ctx, `${from} to ${until} ${zoneText(shown.from, settings)}`, MARGIN, 44, "12px", theme.faint)
  for (const { left, plot, top } of placed) {
    const { chart } = plot
    drawText(ctx, titleOf(plot.group), left, top + 16, "600 13px", theme.text)
    ctx.drawImage(chart.ctx.canvas, left, top + HEAD, chart.width, chart.height)
    plot.seen.forEach((line, at) => {
      const entries = entriesPerRow(plot)
      const x = left + (at % entries) * (chart.width / entries)
      drawEntry(ctx, page, line, x, top + HEAD + chart.height + (Math.floor(at / entries) + 0.5) * ENTRY)
    })
  }
  return canvas
}

/** Side by side as they are on the page, row by row. */
const placesOf = (plots: ReadonlyArray<Plot>) => {
  const inner = Math.max(600, ...plots.map(({ element }) => element.parentElement!.clientWidth))
  let [left, top, rowHeight] = [MARGIN, TITLE + MARGIN / 2, 0]
  const placed = plots.map((plot) => {
    const { height, width } = plot.chart
    if (left > MARGIN && left + width > inner + MARGIN) [left, top, rowHeight] = [MARGIN, top + rowHeight, 0]
    const place = { plot, left, top }
    left += width + MARGIN
    rowHeight = Math.max(rowHeight, HEAD + height + Math.ceil(plot.seen.length / entriesPerRow(plot)) * ENTRY + MARGIN)
    return place
  })
  return { placed, width: inner + 2 * MARGIN, height: top + rowHeight + MARGIN }
}

const entriesPerRow = ({ chart }: Plot): number => Math.max(1, Math.floor(chart.width / ENTRY_WIDTH))

const drawEntry = (ctx: CanvasRenderingContext2D, page: Page, line: Line, x: number, y: number): void => {
  const { range, theme, timeline: { shown } } = page
  ctx.strokeStyle = theme.lines[line.colour]!
  ctx.lineWidth = 2
  ctx.setLineDash([...line.dash])
  ctx.beginPath()
  ctx.moveTo(x, y)
  ctx.lineTo(x + 24, y)
  ctx.stroke()
  ctx.setLineDash([])
  const value = range && latestBefore(range, line.id, shown.until)
  const label = line.label.length > LONGEST_LABEL ? `${line.label.slice(0, LONGEST_LABEL - 1)}…` : line.label
  const words = `${line.number} ${label}  ${value === undefined ? "" : numberText(value.mean)}`
  drawText(ctx, words, x + 30, y + 4, "12px", theme.text)
}

const drawText = (
  ctx: CanvasRenderingContext2D,
  words: string,
  x: number,
  y: number,
  font: string,
  colour: string
): void => {
  ctx.font = `${font} system-ui, sans-serif`
  ctx.fillStyle = colour
  ctx.fillText(words, x, y)
}
