/**
 * Files of what is on the screen: the data as CSV, the plots as a picture with their titles and legends.
 */
import { csvOf } from "./csv.ts"
import { element } from "./dom.ts"
import type { Page } from "./Page.ts"
import { type Plot, titleOf } from "./plots.ts"
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
const ENTRY_WIDTH = 230

const picture = (page: Page): HTMLCanvasElement => {
  const plots = page.plots.filter(({ isCollapsed }) => !isCollapsed)
  for (const plot of plots) plot.draw(true)
  const ratio = devicePixelRatio
  const width = Math.max(600, ...plots.map(({ chart }) => chart.width))
  const perRow = Math.max(1, Math.floor(width / ENTRY_WIDTH))
  const heightOf = (plot: Plot) => HEAD + plot.chart.height + Math.ceil(plot.seen.length / perRow) * ENTRY + MARGIN
  const canvas = element("canvas", {
    width: String((width + 2 * MARGIN) * ratio),
    height: String((TITLE + plots.reduce((sum, plot) => sum + heightOf(plot), MARGIN)) * ratio)
  })
  const ctx = canvas.getContext("2d")!
  const { theme, timeline: { shown } } = page
  const text = (words: string, x: number, y: number, font: string, colour: string) => {
    ctx.font = `${font} system-ui, sans-serif`
    ctx.fillStyle = colour
    ctx.fillText(words, x, y)
  }
  ctx.scale(ratio, ratio)
  ctx.fillStyle = theme.background
  ctx.fillRect(0, 0, canvas.width, canvas.height)
  const step = (shown.until - shown.from) / 100
  text(page.view.title, MARGIN, 26, "600 16px", theme.text)
  const range = `${stampText(shown.from, step, page.settings)} to ${stampText(shown.until, step, page.settings)} ${
    zoneText(shown.from, page.settings)
  }`
  text(range, MARGIN, 44, "12px", theme.faint)
  let top = TITLE + MARGIN / 2
  for (const plot of plots) {
    text(titleOf(plot.group), MARGIN, top + 16, "600 13px", theme.text)
    ctx.drawImage(plot.chart.ctx.canvas, MARGIN, top + HEAD, plot.chart.width, plot.chart.height)
    plot.seen.forEach((line, at) => {
      const x = MARGIN + (at % perRow) * ENTRY_WIDTH
      const y = top + HEAD + plot.chart.height + Math.floor(at / perRow) * ENTRY + ENTRY / 2
      ctx.strokeStyle = theme.lines[line.colour]!
      ctx.lineWidth = 2
      ctx.setLineDash([...line.dash])
      ctx.beginPath()
      ctx.moveTo(x, y)
      ctx.lineTo(x + 24, y)
      ctx.stroke()
      ctx.setLineDash([])
      const value = page.range && latestBefore(page.range, line.id, shown.until)
      const label = line.label.length > 22 ? `${line.label.slice(0, 21)}…` : line.label
      text(
        `${line.number} ${label}  ${value === undefined ? "" : numberText(value.mean)}`,
        x + 30,
        y + 4,
        "12px",
        theme.text
      )
    })
    top += heightOf(plot)
  }
  return canvas
}
