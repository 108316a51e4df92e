/**
 * Which stretch of time is shown: whether it follows the newest data, and the way back and forward. Pure. Times are microseconds since
 * the epoch.
 *
 * While following, the newest data is at the right edge. Whoever zooms or pans looks at something: following stops, new data does not
 * move it.
 */

export interface Span {
  readonly from: number
  readonly until: number
}

/** How much is shown while following, in microseconds. Infinity: all. */
type Rolling = number

interface Place {
  readonly shown: Span
  readonly rolling: Rolling | null
}

const SHORTEST = 1_000
/** While a recording is shorter than that, the window does not grow with each sample. */
const SHORTEST_LIVE = 10_000_000

interface TimelineOptions {
  readonly isLive: boolean
  /** It begins by following, with so much of the newest data. */
  readonly rolling: Rolling
  /** Somebody has chosen another window. */
  readonly onChange: () => void
  /** The window has followed the newest data. */
  readonly onRoll: () => void
}

export class Timeline {
  /** All data. */
  extent: Span = { from: 0, until: SHORTEST_LIVE }
  #place: Place
  #lastRolling: Rolling
  #back: Array<Place> = []
  #forward: Array<Place> = []
  #isMoving = false
  #options: TimelineOptions

  constructor(options: TimelineOptions) {
    this.#options = options
    this.#lastRolling = options.rolling
    this.#place = { shown: this.extent, rolling: options.rolling }
  }

  get shown(): Span {
    return this.#place.shown
  }

  /** How much is shown while following; null: not following. */
  get rolling(): Rolling | null {
    return this.#place.rolling
  }

  /** Whether a movement goes on. */
  get isMoving(): boolean {
    return this.#isMoving
  }

  get canGoBack(): boolean {
    return this.#back.length > 0
  }

  get canGoForward(): boolean {
    return this.#forward.length > 0
  }

  /** There is more data, or other data. */
  grow(extent: Span): void {
    if (extent.from === this.extent.from && extent.until === this.extent.until) return
    this.extent = extent
    if (this.rolling === null) return
    this.#place = { shown: this.#latest(this.rolling), rolling: this.rolling }
    this.#options.onRoll()
  }

  /** Follows the newest data, with so much of it; as it was followed before, if nothing is said. */
  follow(rolling: Rolling = this.#lastRolling): void {
    this.#remember()
    this.#lastRolling = rolling
    this.#put({ shown: this.#latest(rolling), rolling })
  }

  pause(): void {
    this.#put({ shown: this.shown, rolling: null })
  }

  show(span: Span): void {
    this.#remember()
    this.#put({ shown: atLeast(span, SHORTEST), rolling: null })
  }

  /** Part of a movement that goes on: the way back leads to before it. `settle` ends it. */
  move(span: Span): void {
    if (!this.#isMoving) this.#remember()
    this.#isMoving = true
    this.#put({ shown: atLeast(span, SHORTEST), rolling: null })
  }

  settle(): void {
    this.#isMoving = false
  }

  /** Above 1: more is shown. `at` stays where it is; if nothing is said it is the middle, or the newest data of a recording that is followed. */
  zoom(factor: number, at?: number): void {
    const { from, until } = this.shown
    if (at === undefined && this.#options.isLive && this.rolling !== null) {
      this.follow(Math.max(SHORTEST, (until - from) * factor))
    } else this.#zoomAt(factor, at ?? (from + until) / 2)
  }

  #zoomAt(factor: number, at: number): void {
    const { from, until } = this.shown
    const most = 4 * Math.max(SHORTEST_LIVE, this.extent.until - this.extent.from)
    const limited = Math.min(factor, Math.max(1, most / (until - from)))
    this.move({ from: at - (at - from) * limited, until: at + (until - at) * limited })
  }

  /** By a part of what is shown; below 0: to what was before. */
  pan(part: number): void {
    const by = part * (this.shown.until - this.shown.from)
    this.move({ from: this.shown.from + by, until: this.shown.until + by })
  }

  goBack(): void {
    this.#go(this.#back, this.#forward)
  }

  goForward(): void {
    this.#go(this.#forward, this.#back)
  }

  #go(from: Array<Place>, to: Array<Place>): void {
    const place = from.pop()
    if (place === undefined) return
    to.push(this.#place)
    this.#isMoving = false
    this.#put(place.rolling === null ? place : { ...place, shown: this.#latest(place.rolling) })
  }

  #remember(): void {
    this.#back.push(this.#place)
    this.#back.splice(0, this.#back.length - 100)
    this.#forward = []
    this.#isMoving = false
  }

  #latest(rolling: Rolling): Span {
    const { from, until } = this.extent
    const shortest = Math.min(rolling, this.#options.isLive ? SHORTEST_LIVE : SHORTEST)
    return { from: Math.max(from, until - rolling), until: Math.max(until, from + shortest) }
  }

  #put(place: Place): void {
    this.#place = place
    this.#options.onChange()
  }
}

const atLeast = ({ from, until }: Span, length: number): Span => {
  const [low, high] = [Math.min(from, until), Math.max(from, until)]
  const more = Math.max(0, length - (high - low)) / 2
  return { from: low - more, until: high + more }
}
