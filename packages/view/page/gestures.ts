/**
 * What hands do on a plot. A drag zooms, a drag with shift pans, the wheel zooms where the pointer is. On a touch screen one finger pans
 * and two fingers zoom.
 */
import type uPlot from "uplot"
import type { Timeline } from "./Timeline.ts"

/** Milliseconds. A wheel that scrolls the page goes on scrolling when a plot comes under it. */
const SCROLL_GOES_ON = 250
let scrolledAt = -Infinity
addEventListener("scroll", () => {
  scrolledAt = performance.now()
}, { passive: true })

/** How uPlot takes the mouse: plain drags only, and a double click shows all. */
export const mouse = (timeline: Timeline): uPlot.Cursor => ({
  drag: { x: true, y: false, setScale: false, dist: 4 },
  bind: {
    mousedown: (_, __, handle) => (event) => {
      if (event.button === 0 && !event.shiftKey) handle(event)
      return null
    },
    dblclick: () => () => {
      timeline.follow(Infinity)
      return null
    }
  }
})

/** A drag has ended: what it has selected is shown. */
export const zoomToSelection = (chart: uPlot, timeline: Timeline): void => {
  const { left, width } = chart.select
  if (width < 4) return
  chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
  timeline.show({ from: chart.posToVal(left, "x"), until: chart.posToVal(left + width, "x") })
}

export const attachGestures = (chart: uPlot, timeline: Timeline): void => {
  const { over } = chart
  over.addEventListener("wheel", (event) => {
    if (performance.now() - scrolledAt < SCROLL_GOES_ON) return
    event.preventDefault()
    const { left, width } = over.getBoundingClientRect()
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 20 : 1
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      timeline.pan((event.deltaX || event.deltaY) * lines / width)
    } else {
      const factor = Math.exp(Math.max(-1, Math.min(1, event.deltaY * lines * 0.002)))
      timeline.zoom(factor, timeAt(timeline, (event.clientX - left) / width))
    }
  }, { passive: false })
  attachPanning(over, timeline)
}

/** A finger that scrolls the page moves so little to the side before the browser takes it over. */
const FEW_PIXELS = 10

/** The fingers that touch, or the mouse while shift is held, by the times that they hold. */
const attachPanning = (over: HTMLElement, timeline: Timeline): void => {
  const held = new Map<number, { readonly time: number; readonly start: number; x: number }>()
  over.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse" && !(event.shiftKey && event.button === 0)) return
    over.setPointerCapture(event.pointerId)
    const x = placeOf(over, event)
    held.set(event.pointerId, { time: timeAt(timeline, x), start: x, x })
  })
  over.addEventListener("pointermove", (event) => {
    const finger = held.get(event.pointerId)
    if (finger === undefined) return
    finger.x = placeOf(over, event)
    const [one, other] = [...held.values()]
    const isAlone = other === undefined
    if (isAlone && !timeline.isMoving && Math.abs(finger.x - finger.start) * over.clientWidth < FEW_PIXELS) return
    const { from, until } = timeline.shown
    const apart = isAlone ? 0 : other.x - one!.x
    const length = Math.abs(apart) < 0.02 ? until - from : (other!.time - one!.time) / apart
    if (length > 0) timeline.move({ from: one!.time - one!.x * length, until: one!.time + (1 - one!.x) * length })
  })
  for (const end of ["pointerup", "pointercancel"] as const) {
    over.addEventListener(end, ({ pointerId }) => held.delete(pointerId))
  }
}

const placeOf = (over: HTMLElement, { clientX }: PointerEvent): number => {
  const { left, width } = over.getBoundingClientRect()
  return (clientX - left) / width
}

const timeAt = ({ shown: { from, until } }: Timeline, part: number): number => from + part * (until - from)
