/**
 * What happened, drawn behind the lines of a plot: holes are hatched, alarms are a band along the top, markers are lines with their text.
 * A hole of one device is a strip in its colour along the bottom, as the others have values there.
 */
import type uPlot from "uplot"
import type { Group } from "./groups.ts"
import type { Happening } from "./happenings.ts"
import type { Theme } from "./theme.ts"

export interface Shading {
  readonly happenings: ReadonlyArray<Happening>
  readonly lines: Group["lines"]
  readonly theme: Theme
  /** Until when something lasts that goes on. */
  readonly now: number
}

/** Behind the lines. */
export const shade = (chart: uPlot, shading: Shading): void => {
  const { ctx, bbox: { height, left, top, width } } = chart
  const ratio = devicePixelRatio
  ctx.save()
  ctx.beginPath()
  ctx.rect(left, top, width, height)
  ctx.clip()
  for (const { happening: { device, kind }, line, start, end } of placesOf(chart, shading)) {
    const band = [start, Math.max(ratio, end - start)] as const
    if (kind === "alarm") drawBand(ctx, band, top, 6 * ratio, shading.theme.alarm)
    else if (kind === "hole" && device === null) drawHatch(ctx, band, top, height, shading.theme.hole, ratio)
    else if (kind === "hole" && line !== undefined) {
      const colour = shading.theme.lines[line.colour]!
      drawBand(ctx, band, top + height - ((line.number - 1) % 8 + 1) * 5 * ratio, 4 * ratio, colour)
      ctx.globalAlpha = 0.08
      drawBand(ctx, band, top, height, colour)
      ctx.globalAlpha = 1
    } else if (kind === "marker" || kind === "run") {
      ctx.strokeStyle = shading.theme.marker
      ctx.lineWidth = ratio
      ctx.setLineDash(kind === "run" ? [2 * ratio, 4 * ratio] : [])
      ctx.beginPath()
      ctx.moveTo(Math.round(start) + 0.5, top)
      ctx.lineTo(Math.round(start) + 0.5, top + height)
      ctx.stroke()
      ctx.setLineDash([])
    }
  }
  ctx.restore()
}

/** What a plot shows of what happened, and where. */
const placesOf = (chart: uPlot, { happenings, lines, now }: Shading) =>
  happenings.flatMap((happening) => {
    const { device, field, from, until } = happening
    const line = lines.find((line) => line.device === device && (field === null || line.field === field))
    const start = chart.valToPos(from, "x", true)
    const end = chart.valToPos(until ?? Math.max(from, now), "x", true)
    const isSeen = (device === null || line !== undefined) && end >= chart.bbox.left &&
      start <= chart.bbox.left + chart.bbox.width
    return isSeen ? [{ happening, line, start, end }] : []
  })

const LONGEST_TEXT = 28

/** The texts of markers, on the lines. A marker that has no room beside the one before has its line only. */
export const writeMarkers = (chart: uPlot, shading: Shading): void => {
  const { ctx, bbox: { left, top, width } } = chart
  const ratio = devicePixelRatio
  let taken = left
  ctx.save()
  ctx.font = `${11 * ratio}px system-ui, sans-serif`
  ctx.textAlign = "left"
  ctx.textBaseline = "top"
  for (const { happening: { kind, text }, start } of placesOf(chart, shading)) {
    if (kind !== "marker") continue
    const cut = text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT - 1)}…` : text
    const length = ctx.measureText(cut).width + 8 * ratio
    const fits = start + length <= left + width
    const from = fits ? start + 1 : start - length
    if (from < taken) continue
    taken = fits ? start + length : start
    ctx.globalAlpha = 0.8
    drawBand(ctx, [from, length], top + 7 * ratio, 15 * ratio, shading.theme.background)
    ctx.globalAlpha = 1
    ctx.fillStyle = shading.theme.marker
    ctx.fillText(cut, from + 4 * ratio, top + 9 * ratio)
  }
  ctx.restore()
}

const drawBand = (
  ctx: CanvasRenderingContext2D,
  [start, length]: readonly [number, number],
  top: number,
  height: number,
  colour: string
): void => {
  ctx.fillStyle = colour
  ctx.fillRect(start, top, length, height)
}

const drawHatch = (
  ctx: CanvasRenderingContext2D,
  [start, length]: readonly [number, number],
  top: number,
  height: number,
  colour: string,
  ratio: number
): void => {
  ctx.save()
  ctx.beginPath()
  ctx.rect(start, top, length, height)
  ctx.clip()
  ctx.fillStyle = colour
  ctx.globalAlpha = 0.12
  ctx.fillRect(start, top, length, height)
  ctx.globalAlpha = 0.5
  ctx.strokeStyle = colour
  ctx.lineWidth = ratio
  ctx.beginPath()
  const [left, right] = [Math.max(start, 0), Math.min(start + length, ctx.canvas.width)]
  for (let x = left - height; x < right; x += 8 * ratio) {
    ctx.moveTo(x, top + height)
    ctx.lineTo(x + height, top)
  }
  ctx.stroke()
  ctx.restore()
}
