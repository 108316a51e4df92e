/**
 * A plot of the series of one unit: its head, the chart (uPlot), and the legend.
 */
// oxlint-disable-next-line import/no-unassigned-import -- uPlot needs what it does
import "./language.ts"
import uPlot from "uplot"
import { button, element, setPressed } from "./dom.ts"
import { attachGestures, mouse, zoomToSelection } from "./gestures.ts"
import { type Group, type Line, titleOf } from "./groups.ts"
import { Legend } from "./Legend.ts"
import { linesOf, loneIn } from "./lines.ts"
import type { Page } from "./Page.ts"
import { firstAtOrAfter, latestBefore, type Range } from "./range.ts"
import { shade, type Shading, writeMarkers } from "./shading.ts"
import { clockText, numberText, TICK_STEPS, ticksOf, tickTexts } from "./times.ts"
import { limitsOf, logTicks, valueTickTexts } from "./valueAxis.ts"

/** Pixels of the sheet, these. */
const LEFT = 58
const RIGHT = 24
const EDGE = 14

export class Plot {
  readonly element: HTMLElement
  readonly group: Group
  #page: Page
  #area: HTMLElement
  #chart: uPlot
  #legend: Legend
  #drawn: Range | undefined
  #limits: readonly [low: number, high: number] | undefined
  #describedAt = -Infinity
  #isInSight = true
  #observers: ReadonlyArray<ResizeObserver | IntersectionObserver>

  constructor(page: Page, group: Group, plots: number) {
    this.#page = page
    this.group = group
    this.#legend = new Legend(page, group)
    const area = element("div", {
      class: "area",
      tabindex: "0",
      role: "group",
      "aria-label": `${titleOf(group)}. Arrow keys move the cursor, plus and minus zoom.`
    })
    this.#area = area
    area.dataset["size"] = plots === 1 ? "one" : plots === 2 ? "two" : "more"
    this.element = element("section", { class: "plot" }, area, this.#legend.element)
    this.element.dataset["key"] = group.key
    this.element.prepend(this.#head())
    this.#chart = this.#make()
    this.#observers = [
      new ResizeObserver(() => this.#resize()),
      new IntersectionObserver((entries) => {
        this.#isInSight = entries.at(-1)!.isIntersecting
        this.draw()
      }, { rootMargin: "200px" })
    ]
    for (const observer of this.#observers) observer.observe(area)
  }

  get chart(): uPlot {
    return this.#chart
  }

  get isCollapsed(): boolean {
    return this.#page.settings.plot(this.group.key).isCollapsed ?? false
  }

  /** The lines that are seen. */
  get seen(): ReadonlyArray<Line> {
    return this.isCollapsed ? [] : this.group.lines.filter((line) => !this.#page.settings.isHidden(line))
  }

  /** The width of the drawing, in pixels of the sheet. */
  get width(): number {
    return this.isCollapsed ? 0 : this.#chart.over.clientWidth
  }

  /** A plot that nobody sees is drawn when it comes in sight, or when it is needed for a picture. */
  draw(isNeeded = this.#isInSight): void {
    if (this.isCollapsed || !isNeeded) return
    const { range, timeline: { shown } } = this.#page
    this.#chart.batch(() => {
      if (range !== this.#drawn && range !== undefined) {
        const ids = this.group.lines.map(({ id }) => id)
        const { times, values } = linesOf(range, ids, { rateHz: this.#page.rateHz, isLog: this.#isLog })
        this.#chart.setData([times, ...values] as uPlot.AlignedData, false)
        this.#drawn = range
      }
      this.#chart.setScale("x", { min: shown.from, max: shown.until })
    })
    this.updateValues()
    if (performance.now() - this.#describedAt > 1000) this.#describe()
  }

  updateValues(): void {
    this.#legend.update()
  }

  /** The settings or the theme have changed. */
  renew(): void {
    this.#chart.destroy()
    this.#drawn = undefined
    this.#limits = undefined
    this.#chart = this.#make()
    this.draw(true)
  }

  /** Shows and hides series as chosen. */
  updateSeries(): void {
    this.group.lines.forEach((line, at) => {
      const show = !this.#page.settings.isHidden(line)
      if (this.#chart.series[at + 1]!.show !== show) this.#chart.setSeries(at + 1, { show })
    })
    this.#limits = undefined
    this.#legend.update()
  }

  /** Moves the cursor to the next value that is another pixel. */
  step(direction: number): void {
    const { chart } = this
    const times = chart.data[0]
    const { from, until } = this.#page.timeline.shown
    const pixel = (until - from) / this.width
    const at = this.#page.cursor ?? (direction > 0 ? from : until)
    const wanted = at + direction * pixel
    const next = firstAtOrAfter(times, wanted)
    const time = times[direction > 0 || times[next] === wanted ? next : next - 1] ?? wanted
    const left = chart.valToPos(Math.min(until, Math.max(from, time)), "x")
    chart.setCursor({ left, top: chart.over.clientHeight / 2 })
  }

  destroy(): void {
    for (const observer of this.#observers) observer.disconnect()
    this.#chart.destroy()
    this.element.remove()
  }

  get #isLog(): boolean {
    return this.#page.settings.plot(this.group.key).isLog ?? false
  }

  #head(): HTMLElement {
    const { settings } = this.#page
    const { key } = this.group
    const change = (changed: Parameters<typeof settings.setPlot>[1]) => {
      settings.setPlot(key, changed)
      this.renew()
    }
    const collapse = button(titleOf(this.group), () => {
      settings.setPlot(key, { isCollapsed: !this.isCollapsed })
      show()
      this.#page.seriesChanged()
    }, { class: "collapse" })
    const show = () => {
      collapse.setAttribute("aria-expanded", String(!this.isCollapsed))
      this.element.classList.toggle("collapsed", this.isCollapsed)
    }
    show()
    const log = button("Log", () => {
      change({ isLog: !this.#isLog })
      setPressed(log, this.#isLog)
    }, { title: "Logarithmic axis. Values that are not above zero are not drawn." })
    setPressed(log, this.#isLog)
    return element(
      "header",
      {},
      element("h3", {}, collapse),
      element("div", { class: "tools" }, log, limitFields(settings.plot(key), titleOf(this.group), change))
    )
  }

  #make(): uPlot {
    const { settings, theme, timeline } = this.#page
    const axis = {
      stroke: theme.faint,
      font: "11px system-ui, sans-serif",
      grid: { stroke: theme.grid, width: 1 },
      ticks: { show: false }
    }
    const chart = new uPlot(
      {
        width: Math.max(1, this.#area.clientWidth),
        height: Math.max(1, this.#area.clientHeight),
        legend: { show: false },
        padding: [8, RIGHT, 0, 0],
        cursor: {
          ...mouse(timeline),
          sync: {
            key: "time",
            setSeries: false,
            filters: { pub: (type) => type.startsWith("mousemove") || type === "mouseleave" }
          },
          points: { size: 6 },
          y: false
        },
        scales: {
          x: { time: false, auto: false, range: (_, min, max) => [min, max] },
          // oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- the enumeration is there for types only
          y: { distr: this.#isLog ? 3 : 1, range: (_, min, max) => this.#yLimits(min, max) }
        },
        axes: [
          {
            ...axis,
            size: 34,
            space: 76,
            incrs: TICK_STEPS,
            // The text of a tick at the very edge would be cut.
            splits: (chart, _, min, max, step) =>
              ticksOf(min, max - EDGE * devicePixelRatio / chart.bbox.width * (max - min), step, settings),
            values: (_, ticks, __, ___, step) => tickTexts(ticks, step, settings)
          },
          {
            ...axis,
            size: LEFT,
            space: 32,
            ...this.#isLog ? { splits: (_, __, min, max) => logTicks(min, max), filter: (_, ticks) => ticks } : {},
            values: (_, ticks) => valueTickTexts(ticks)
          }
        ],
        series: [
          {},
          ...this.group.lines.map((line): uPlot.Series => ({
            label: line.label,
            show: !settings.isHidden(line),
            stroke: theme.lines[line.colour]!,
            width: 1,
            dash: [...line.dash],
            points: {
              size: 4,
              show: () => this.#isSparse(),
              filter: (chart, at, isShown) => isShown ? null : loneIn(chart.data[at]!)
            }
          }))
        ],
        hooks: {
          drawClear: [(chart) => shade(chart, this.#shading)],
          drawSeries: [(chart, at) => this.#sketch(chart, at)],
          draw: [(chart) => {
            writeMarkers(chart, this.#shading)
            this.#numberLines(chart)
          }],
          setSelect: [(chart) => zoomToSelection(chart, timeline)],
          setCursor: [(chart) => {
            const { left = -1 } = chart.cursor
            this.#page.moveCursor(left < 0 ? null : chart.posToVal(left, "x"))
          }]
        }
      },
      [[], ...this.group.lines.map(() => [])],
      this.#area
    )
    chart.ctx.canvas.setAttribute("role", "img")
    chart.ctx.canvas.setAttribute("aria-label", titleOf(this.group))
    attachGestures(chart, timeline)
    return chart
  }

  #resize(): void {
    const { clientHeight: height, clientWidth: width } = this.#area
    if (width === 0 || width === this.#chart.width && height === this.#chart.height) return
    this.#chart.setSize({ width, height })
    this.#page.resized()
  }

  /** While following, the limits stay as they are as long as the values fill half of them: a plot that jumps cannot be read. */
  #yLimits(min: number | null, max: number | null): [number, number] {
    const { high = null, low = null } = this.#page.settings.plot(this.group.key)
    const [least, most] = limitsOf(min, max, this.#isLog)
    const kept = this.#page.timeline.rolling === null ? undefined : this.#limits
    const isKept = kept !== undefined && min !== null && max !== null && kept[0] <= min && kept[1] >= max &&
      max - min >= (kept[1] - kept[0]) * 0.4
    this.#limits = isKept ? kept : [least, most]
    const limits: [number, number] = [low ?? this.#limits[0], high ?? this.#limits[1]]
    return limits[0] < limits[1] && (!this.#isLog || limits[0] > 0) ? limits : [least, most]
  }

  get #shading(): Shading {
    const { events: { happenings }, theme, timeline } = this.#page
    return { happenings, lines: this.seen, theme, now: timeline.extent.until }
  }

  /** While the file is read: places that were seen are joined by thin dashes. */
  #sketch(chart: uPlot, at: number): void {
    if (at === 0 || this.#drawn === undefined || this.#drawn.isComplete || !chart.series[at]!.show) return
    const { ctx } = chart
    const times = chart.data[0]
    const values = chart.data[at]!
    ctx.save()
    ctx.beginPath()
    ctx.rect(chart.bbox.left, chart.bbox.top, chart.bbox.width, chart.bbox.height)
    ctx.clip()
    ctx.strokeStyle = this.#page.theme.lines[this.group.lines[at - 1]!.colour]!
    ctx.globalAlpha = 0.6
    ctx.setLineDash([3, 3])
    ctx.beginPath()
    let last: readonly [x: number, y: number] | undefined
    let isBroken = false
    for (let next = 0; next < times.length; next++) {
      const value = values[next]
      if (value === null) isBroken = true
      if (value === null || value === undefined) continue
      const place = [chart.valToPos(times[next]!, "x", true), chart.valToPos(value, "y", true)] as const
      if (isBroken && last !== undefined) {
        ctx.moveTo(...last)
        ctx.lineTo(...place)
      }
      isBroken = false
      last = place
    }
    ctx.stroke()
    ctx.restore()
  }

  /** The number of the device at the end of its line, unless another number is there. */
  #numberLines(chart: uPlot): void {
    const { ctx, bbox } = chart
    const ratio = devicePixelRatio
    const end = this.#page.timeline.shown.until
    const taken: Array<number> = []
    ctx.save()
    ctx.font = `600 ${11 * ratio}px system-ui, sans-serif`
    ctx.textAlign = "left"
    ctx.textBaseline = "middle"
    for (const line of this.#drawn === undefined ? [] : this.seen) {
      const value = latestBefore(this.#drawn!, line.id, end)?.mean
      if (value === undefined || this.#isLog && value <= 0) continue
      const y = chart.valToPos(value, "y", true)
      if (y < bbox.top || y > bbox.top + bbox.height || taken.some((other) => Math.abs(other - y) < 11 * ratio)) {
        continue
      }
      taken.push(y)
      ctx.fillStyle = this.#page.theme.lines[line.colour]!
      ctx.fillText(String(line.number), bbox.left + bbox.width + 5 * ratio, y)
    }
    ctx.restore()
  }

  /** Few samples are seen as such. */
  #isSparse(): boolean {
    const { range, timeline: { shown } } = this.#page
    if (range?.kind !== "points") return false
    const line = this.seen.find(({ id }) => range.series.has(id))
    const times = line === undefined ? [] : range.series.get(line.id)!.times
    return (firstAtOrAfter(times, shown.until) - firstAtOrAfter(times, shown.from)) * 10 < this.width
  }

  #describe(): void {
    this.#describedAt = performance.now()
    const { range, settings, timeline: { shown } } = this.#page
    const step = (shown.until - shown.from) / 100
    const latest = this.seen.slice(0, 5).map((line) => {
      const value = range && latestBefore(range, line.id, shown.until)
      return `${line.label} ${value === undefined ? "no value" : numberText(value.mean)}`
    })
    this.#chart.ctx.canvas.setAttribute(
      "aria-label",
      `${titleOf(this.group)}, ${this.seen.length} series, from ${clockText(shown.from, step, settings)} to ${
        clockText(shown.until, step, settings)
      }. Latest: ${latest.join(", ")}`
    )
  }
}

const limitFields = (
  now: { readonly low?: number | null; readonly high?: number | null },
  title: string,
  change: (limits: { readonly low: number | null; readonly high: number | null }) => void
): HTMLElement => {
  const field = (name: string, value: number | null | undefined) =>
    element("input", {
      type: "number",
      step: "any",
      placeholder: "auto",
      "aria-label": `${name} of ${title}`,
      value: String(value ?? "")
    })
  const [low, high] = [field("Lower limit", now.low), field("Upper limit", now.high)]
  const numberOf = ({ value }: HTMLInputElement) =>
    value === "" || !Number.isFinite(Number(value)) ? null : Number(value)
  const apply = () => change({ low: numberOf(low), high: numberOf(high) })
  low.addEventListener("change", apply)
  high.addEventListener("change", apply)
  const auto = button("Auto", () => {
    low.value = high.value = ""
    apply()
  })
  return element(
    "details",
    { class: "menu" },
    element("summary", {}, "Limits"),
    element(
      "div",
      { class: "sheet limits" },
      element("label", {}, "from ", low),
      element("label", {}, "to ", high),
      auto
    )
  )
}
