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

export const shade = (chart: uPlot, shading: Shading): void => {
  const { ctx, bbox: { height, left, top, width } } = chart
  const ratio = devicePixelRatio
  ctx.save()
  ctx.beginPath()
  ctx.rect(left, top, width, height)
  ctx.clip()
  let markerEnd = -Infinity
  for (const { device, from, kind, text, until } of shading.happenings) {
    const start = chart.valToPos(from, "x", true)
    const end = chart.valToPos(until ?? Math.max(from, shading.now), "x", true)
    if (end < left || start > left + width) continue
    const band = [start, Math.max(ratio, end - start)] as const
    const line = device === null ? undefined : shading.lines.find((line) => line.device === device)
    if (device !== null && line === undefined) continue
    if (kind === "alarm") drawBand(ctx, band, top, 6 * ratio, shading.theme.alarm)
    else if (kind === "hole" && line === undefined) drawHatch(ctx, band, top, height, shading.theme.hole, ratio)
    else if (kind === "hole" && line !== undefined) {
      const place = (line.number - 1) % 8
      drawBand(ctx, band, top + height - (place + 1) * 5 * ratio, 4 * ratio, shading.theme.lines[line.colour]!)
      ctx.globalAlpha = 0.08
      drawBand(ctx, band, top, height, shading.theme.lines[line.colour]!)
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
      if (kind === "marker" && start > markerEnd) {
        markerEnd = drawText(ctx, text, start, top, shading.theme.marker, ratio)
      }
    }
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

const LONGEST_TEXT = 28

/** Gives where the text ends: a marker that comes before that has its line only. */
const drawText = (
  ctx: CanvasRenderingContext2D,
  text: string,
  left: number,
  top: number,
  colour: string,
  ratio: number
): number => {
  const cut = text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT - 1)}…` : text
  ctx.font = `${11 * ratio}px system-ui, sans-serif`
  ctx.textAlign = "left"
  ctx.textBaseline = "top"
  ctx.fillStyle = colour
  ctx.fillText(cut, left + 4 * ratio, top + 8 * ratio)
  return left + ctx.measureText(cut).width + 8 * ratio
}
