/**
 * The page: what is known and what is shown. What comes in (`live.ts`, `Feed.ts`, hands) changes it; a frame later what depends on it
 * is drawn. Nothing is drawn while the page is hidden: there are no frames then.
 */
import { getView, type Series, type State, type View } from "./api.ts"
import { Events } from "./Events.ts"
import { Feed } from "./Feed.ts"
import { firstFields, type Group, groupsOf } from "./groups.ts"
import { Plot } from "./Plot.ts"
import { type Range, type Shown, shownBetween } from "./range.ts"
import type { Settings } from "./Settings.ts"
import { applyTheme, type Theme } from "./theme.ts"
import { Timeline } from "./Timeline.ts"

/** A part of the page. It is told each second, and when something it may show has changed. */
export type Part = (page: Page) => void

export type ShownOfSeries = Shown & { readonly series: Series }

/** At most so many buckets are drawn in a pixel. More is not seen, and takes time in each frame. */
const BUCKETS_IN_PIXEL = 1.2
/** What is shown of a recording that goes on, in microseconds. */
const FIRST_WINDOW = 600e6

export class Page {
  readonly settings: Settings
  readonly timeline: Timeline
  view: View
  groups: ReadonlyArray<Group> = []
  plots: ReadonlyArray<Plot> = []
  theme: Theme
  state: State | undefined
  isLost = false
  /** What went wrong with the last request; null: nothing. */
  problem: string | null = null
  readonly events = new Events({ onChange: () => this.redraw(), onError: (error) => this.fail(error) })
  /** The time of the cursor; null: there is none. */
  cursor: number | null = null
  #plotList: HTMLElement
  #parts: ReadonlyArray<Part> = []
  #frame: number | undefined
  #isPlotDirty = false
  #drawMillis = 0
  #stateAt = 0
  #feed: Feed

  constructor(view: View, settings: Settings, plotList: HTMLElement) {
    this.view = view
    this.settings = settings
    this.theme = applyTheme(settings)
    this.#plotList = plotList
    this.timeline = new Timeline({
      isLive: view.isLive,
      rolling: view.isLive ? FIRST_WINDOW : Infinity,
      onChange: () => this.#moved(),
      // What is drawn moves with the data that come for it: nothing is empty for a moment at the right edge.
      onRoll: () => this.seen.length === 0 ? this.redraw() : this.#feed.check()
    })
    this.#feed = new Feed({
      timeline: this.timeline,
      series: () => this.view.from === null ? [] : this.seen.map(({ id }) => id),
      points: () => BUCKETS_IN_PIXEL * Math.max(0, ...this.plots.map(({ width }) => width)),
      drawMillis: () => this.#drawMillis,
      onRange: () => {
        this.problem = null
        this.redraw()
      },
      onError: (error) => {
        this.redraw()
        this.fail(error)
      }
    })
    this.setView(view)
    setInterval(() => {
      if (document.hidden) return
      this.events.cover(this.timeline.shown)
      this.update()
    }, 1000)
    addEventListener("beforeprint", () => this.#useTheme({ theme: "light" }))
    addEventListener("afterprint", () => this.#useTheme(settings))
  }

  set parts(parts: ReadonlyArray<Part>) {
    this.#parts = parts
    this.update()
  }

  get range(): Range | undefined {
    return this.#feed.range
  }

  get rateHz(): number | null {
    return this.view.rateHz
  }

  /** Whether the recording goes on. */
  get isLive(): boolean {
    return this.view.isLive && this.state?.ended == null
  }

  /** The time of the server. Between two states the clock of this browser goes on. */
  get now(): number {
    return this.state === undefined
      ? this.timeline.extent.until
      : this.state.now + (performance.now() - this.#stateAt) * 1000
  }

  /** The series that are drawn. */
  get seen(): ReadonlyArray<Series> {
    return this.plots.flatMap((plot) => plot.seen)
  }

  /** What is seen, series by series: for tables and files. */
  shown = function*(this: Page): Generator<ShownOfSeries> {
    const { range, timeline: { shown: { from, until } } } = this
    if (range === undefined) return
    for (const series of this.seen) {
      for (const shown of shownBetween(range, series.id, from, until)) yield { ...shown, series }
    }
  }

  setView(view: View): void {
    const isSame = JSON.stringify(groupsOf(view)) === JSON.stringify(this.groups)
    this.view = view
    if (view.from !== null && view.until !== null) this.timeline.grow({ from: view.from, until: view.until })
    if (isSame) this.#feed.check()
    else {
      this.groups = groupsOf(view)
      this.fieldsChanged()
    }
  }

  /** `isFirst`: of a connection. All may be other than it was. */
  setState(state: State, isFirst: boolean): void {
    const before = this.state
    const isOther = isFirst || before?.viewVersion !== state.viewVersion
    this.state = state
    this.#stateAt = performance.now()
    this.isLost = false
    if (isOther) getView().then((view) => this.setView(view)).catch((error: unknown) => this.fail(error))
    if (before !== undefined && (isOther || before.progress !== state.progress)) this.#feed.refresh()
    const { extent } = this.timeline
    if (this.view.from === null) this.timeline.grow({ from: state.now, until: state.now })
    else if (state.until !== null && state.until > extent.until) {
      this.timeline.grow({ from: extent.from, until: state.until })
    }
    if (isOther) this.events.refresh()
    this.events.check(state.eventCount, Math.max(state.now, this.timeline.extent.until))
    this.#feed.check()
    this.update()
  }

  lose(): void {
    this.isLost = true
    this.update()
  }

  fail(error: unknown): void {
    this.problem = error instanceof Error ? error.message : String(error)
    this.update()
  }

  moveCursor(time: number | null): void {
    if (time === this.cursor) return
    this.cursor = time
    this.update()
  }

  /** Other fields are shown. */
  fieldsChanged(): void {
    for (const plot of this.plots) plot.destroy()
    const fields = new Set(this.fields)
    const groups = this.groups.flatMap((group) => {
      const lines = group.lines.filter(({ field }) => fields.has(field))
      return lines.length === 0
        ? []
        : [{ ...group, title: [...new Set(lines.map(({ field }) => field))].join(", "), lines }]
    })
    this.plots = groups.map((group) => new Plot(this, group, groups.length))
    this.#plotList.replaceChildren(...this.plots.map(({ element }) => element))
    this.seriesChanged()
  }

  /** The fields that are shown. */
  get fields(): ReadonlyArray<string> {
    return this.settings.fields ?? firstFields(this.groups)
  }

  /** Series are shown or hidden. */
  seriesChanged(): void {
    for (const plot of this.plots) plot.updateSeries()
    this.#feed.check()
    this.redraw()
  }

  /** The theme or the zone has changed. */
  looksChanged(): void {
    this.settings.save()
    this.#useTheme(this.settings)
  }

  resized(): void {
    this.#feed.checkAtRest()
    this.redraw()
  }

  redraw(): void {
    this.#isPlotDirty = true
    this.update()
  }

  update(): void {
    if (this.#frame !== undefined) return
    this.#frame = requestAnimationFrame(() => {
      this.#frame = undefined
      if (this.#isPlotDirty) this.#draw()
      else for (const plot of this.plots) plot.updateValues()
      for (const part of this.#parts) part(this)
    })
  }

  #useTheme(chosen: Pick<Settings, "theme">): void {
    this.theme = applyTheme(chosen)
    for (const plot of this.plots) plot.renew()
    this.update()
  }

  #draw(): void {
    const startedAt = performance.now()
    for (const plot of this.plots) plot.draw()
    this.#isPlotDirty = false
    this.#drawMillis = performance.now() - startedAt
  }

  #moved(): void {
    if (this.timeline.isMoving) this.#feed.checkAtRest()
    else this.#feed.check()
    this.redraw()
  }
}
