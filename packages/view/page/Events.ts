/**
 * The events of the recording. The server gives the latest thousand; of the time before them, those of the window that is shown.
 */
import { type EventRow, getEvents } from "./api.ts"
import { type Happening, happeningsOf } from "./happenings.ts"
import type { Span } from "./Timeline.ts"
import { microsOf } from "./times.ts"

/** Milliseconds between requests. */
const BETWEEN = 1000

export class Events {
  happenings: ReadonlyArray<Happening> = []
  /** Whether there are more than those that are known. */
  areCut = false
  #latest: ReadonlyArray<EventRow> = []
  #earlier: { readonly span: Span; readonly events: ReadonlyArray<EventRow>; readonly areAll: boolean } | undefined
  #count = -1
  #isAsking = false
  #askedAt = -Infinity
  #onChange: () => void
  #onError: (error: unknown) => void

  constructor(options: { readonly onChange: () => void; readonly onError: (error: unknown) => void }) {
    this.#onChange = options.onChange
    this.#onError = options.onError
  }

  /** There are so many events, until now. */
  check(count: number, now: number): void {
    if (count === this.#count) return
    this.#ask({ from: 0, until: now + BETWEEN * 1000 }, ({ events, truncated }) => {
      this.#count = count
      this.#latest = events
      this.areCut = truncated
    })
  }

  /** This is shown. */
  cover({ from, until }: Span): void {
    const [oldest] = this.#latest
    if (!this.areCut || oldest === undefined || from >= microsOf(oldest.at)) return
    const span = { from, until: Math.min(until, microsOf(oldest.at) - 1) }
    const { areAll = false, span: known = { from: Infinity, until: Infinity } } = this.#earlier ?? {}
    const isSame = known.from === span.from && known.until === span.until
    if (isSame || areAll && known.from <= span.from && known.until >= span.until) return
    this.#ask(span, ({ events, truncated }) => {
      this.#earlier = { span, events, areAll: !truncated }
    })
  }

  /** All are asked for again. */
  refresh(): void {
    this.#count = -1
    this.#earlier = undefined
  }

  #ask(
    { from, until }: Span,
    keep: (answer: { readonly events: ReadonlyArray<EventRow>; readonly truncated: boolean }) => void
  ): void {
    if (this.#isAsking) return
    this.#isAsking = true
    setTimeout(() => {
      this.#askedAt = performance.now()
      getEvents(from, until).then((answer) => {
        keep(answer)
        this.happenings = happeningsOf([...this.#earlier?.events ?? [], ...this.#latest])
        this.#onChange()
      }).catch(this.#onError).finally(() => {
        this.#isAsking = false
      })
    }, Math.max(0, this.#askedAt + BETWEEN - performance.now()))
  }
}
