/**
 * What a screen reader says: the values at the cursor, when it has come to rest.
 */
import { byId, setText } from "./dom.ts"
import type { Part } from "./Page.ts"
import { shownAt } from "./range.ts"
import { clockText, numberText } from "./times.ts"

/** Milliseconds. */
const AT_REST = 600

export const speech = (): Part => {
  let timer: ReturnType<typeof setTimeout> | undefined
  let spoken: number | null = null
  return (page) => {
    const { cursor } = page
    if (cursor === spoken) return
    spoken = cursor
    clearTimeout(timer)
    if (cursor === null) return
    timer = setTimeout(() => {
      const { range, settings, timeline: { shown } } = page
      const values = page.plots.flatMap((plot) => plot.seen).slice(0, 8).map(({ id, label, unit }) => {
        const value = range && shownAt(range, id, cursor)
        return `${label} ${value === undefined ? "no value" : `${numberText(value.mean)} ${unit ?? ""}`}`
      })
      setText(byId("spoken"), `${clockText(cursor, (shown.until - shown.from) / 1000, settings)}: ${values.join(", ")}`)
    }, AT_REST)
  }
}
