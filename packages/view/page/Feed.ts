/**
 * Keeps the data of what is shown, and a little around it. There is one request at a time, and no more than four a second. While a
 * person zooms, it waits until the hand rests. While data comes, only the tail is asked for.
 */
import { getRange } from "./api.ts"
import { append, decodeRange, longest, type Range } from "./range.ts"
import type { Span, Timeline } from "./Timeline.ts"

export interface FeedOptions {
  readonly timeline: Timeline
  /** The series that are seen. */
  readonly series: () => ReadonlyArray<number>
  /** How many buckets a window has room for; 0: it is not laid out yet. */
  readonly points: () => number
  /** How many milliseconds the last drawing took: a page that is slow asks less. */
  readonly drawMillis: () => number
  readonly onRange: () => void
  readonly onError: (error: unknown) => void
}

interface Wanted extends Span {
  readonly isTail: boolean
  /** Until when there were data when it was asked for. */
  readonly reach: number
  readonly points: number
  readonly series: ReadonlyArray<number>
  /** The length of the window that it is for, and how many buckets that has room for. */
  readonly window: number
  readonly room: number
}

/** What was asked for, and what came. */
interface Kept extends Wanted {
  readonly range: Range
}

const FEWEST_POINTS = 50
const MOST_POINTS = 2000
/** Milliseconds, these. */
const AT_REST = 80
const LONGEST = 30_000
const BETWEEN_REQUESTS = 250
const BETWEEN_REFRESHES = 1000
const DRAWINGS_BETWEEN = 10
/** What is asked for on each side, as a part of the window. */
const BESIDE = 0.25
/** A device may answer so much later than another one, in microseconds. */
const LATE = 1e6

export class Feed {
  #options: FeedOptions
  #kept: Kept | undefined
  #running: { readonly wanted: Wanted; readonly abort: AbortController } | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #startedAt = -Infinity
  #isStale = false

  constructor(options: FeedOptions) {
    this.#options = options
  }

  get range(): Range | undefined {
    return this.#kept?.range
  }

  /** Something else is shown, or there is more data. */
  check(): void {
    const between = Math.max(
      this.#isStale ? BETWEEN_REFRESHES : BETWEEN_REQUESTS,
      DRAWINGS_BETWEEN * this.#options.drawMillis()
    )
    this.#timer ??= setTimeout(() => this.#start(), Math.max(0, this.#startedAt + between - performance.now()))
  }

  /** A person zooms or pans. */
  checkAtRest(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#options.timeline.settle()
      this.#start()
    }, AT_REST)
  }

  /** What is kept is shown until all of it has been asked for again. */
  refresh(): void {
    this.#isStale = true
    this.check()
  }

  #start(): void {
    this.#timer = undefined
    const wanted = document.hidden ? undefined : this.#wanted()
    if (wanted === undefined) return
    if (this.#running !== undefined) {
      if (covers(this.#running.wanted, this.#options.timeline.shown, wanted)) return
      this.#running.abort.abort()
    }
    const running = { wanted, abort: new AbortController() }
    this.#running = running
    this.#startedAt = performance.now()
    if (!wanted.isTail) this.#isStale = false
    getRange(wanted, AbortSignal.any([running.abort.signal, AbortSignal.timeout(LONGEST)])).then((bytes) => {
      if (this.#running !== running) return
      this.#running = undefined
      this.#keep(wanted, decodeRange(bytes))
      this.#options.onRange()
      this.check()
    }).catch((error: unknown) => {
      if (this.#running !== running) return
      this.#running = undefined
      if (!wanted.isTail) this.#isStale = true
      this.#options.onError(error)
    })
  }

  #wanted(): Wanted | undefined {
    const { points, series: seen, timeline } = this.#options
    const { extent, shown } = timeline
    // The last sample is at the end of the extent, and may be asked for only with what comes after it.
    const end = extent.until + 1
    const window = shown.until - shown.from
    const [from, until] = [Math.max(shown.from, extent.from), Math.min(shown.until, extent.until)]
    const series = seen()
    if (series.length === 0 || from > until || points() === 0) return undefined
    const room = Math.max(FEWEST_POINTS, points())
    const kept = this.#kept
    const isKept = kept !== undefined && !this.#isStale && sameSeries(kept.series, series) &&
      kept.from <= from && kept.reach >= from &&
      window > kept.window / 2 && window < kept.window * 1.5 && room < kept.room * 1.5 &&
      longest(kept.range) <= 3 * room
    if (isKept) return kept.reach < until ? this.#tail(kept, end) : undefined
    const whole = {
      from: Math.max(extent.from, shown.from - BESIDE * window),
      until: Math.min(end, shown.until + BESIDE * window)
    }
    return {
      ...whole,
      isTail: false,
      reach: whole.until,
      points: Math.min(MOST_POINTS, Math.ceil(room * (whole.until - whole.from) / window)),
      series,
      window,
      room
    }
  }

  /** Of whole buckets, as many as are asked for: they then have the width of those that are kept. */
  #tail({ range, ...kept }: Kept, until: number): Wanted {
    const tail = { ...kept, isTail: true, reach: until }
    if (range.kind === "points") return { ...tail, from: kept.reach - LATE, until }
    const { first, width } = range
    const from = first + Math.max(0, Math.floor((kept.reach - Math.max(LATE, width) - first) / width)) * width
    const count = Math.floor((until - from) / width) + 1
    return { ...tail, from, until: from + count * width - 1, points: count }
  }

  #keep(wanted: Wanted, range: Range): void {
    const { shown } = this.#options.timeline
    const kept = this.#kept
    if (!wanted.isTail || kept === undefined) {
      this.#kept = { ...wanted, range }
      return
    }
    const oldest = shown.from - (shown.until - shown.from)
    const both = append(kept.range, range, oldest)
    if (both === undefined) this.#isStale = true
    else {
      this.#kept = {
        ...kept,
        range: both,
        from: Math.max(kept.from, oldest),
        reach: wanted.reach
      }
    }
  }
}

/** Whether a request gives what is shown, so that it may go on. */
const covers = (running: Wanted, shown: Span, wanted: Wanted): boolean =>
  sameSeries(running.series, wanted.series) && (wanted.isTail || !running.isTail &&
      running.from <= Math.max(shown.from, wanted.from) && running.until >= Math.min(shown.until, wanted.until) &&
      wanted.window > running.window / 2)

const sameSeries = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): boolean =>
  a.length === b.length && a.every((id, at) => id === b[at])
