/**
 * What happened, newest first: filtered by kind, in pages. A click shows it in the plots.
 */
import { button, byId, element, replaceChildren, setPressed, setText } from "./dom.ts"
import { type Happening, type Kind, KINDS } from "./happenings.ts"
import type { Page, Part } from "./Page.ts"
import { stampText } from "./times.ts"

const PAGE = 12
const NAMES: { readonly [kind in Kind]: readonly [one: string, several: string] } = {
  hole: ["Hole", "Holes"],
  alarm: ["Alarm", "Alarms"],
  marker: ["Marker", "Markers"],
  run: ["Run", "Runs"],
  output: ["Output", "Outputs"],
  other: ["Other", "Others"]
}

export const attachEventList = (page: Page): Part => {
  let only: Kind | null = null
  let at = 0
  const turn = (by: number) => {
    at += by
    page.update()
  }
  const filters = [null, ...KINDS].map((kind) => ({
    kind,
    button: button(kind === null ? "All" : NAMES[kind][1], () => {
      only = kind
      at = 0
      page.update()
    })
  }))
  byId("event-filters").replaceChildren(...filters.map(({ button }) => button))
  const [newer, older] = [button("Newer", () => turn(-1)), button("Older", () => turn(1))]
  const place = element("span", { class: "faint" })
  byId("event-pages").replaceChildren(newer, older, place)
  return (page) => {
    const found = page.events.happenings.filter(({ kind }) => only === null || kind === only).toReversed()
    const pages = Math.max(1, Math.ceil(found.length / PAGE))
    at = Math.min(at, pages - 1)
    const shown = found.slice(at * PAGE, (at + 1) * PAGE)
    byId("events").hidden = page.events.happenings.length === 0
    for (const filter of filters) {
      setPressed(filter.button, filter.kind === only)
      filter.button.hidden = filter.kind !== null && !page.events.happenings.some(({ kind }) => kind === filter.kind)
    }
    newer.disabled = at === 0
    older.disabled = at === pages - 1
    byId("event-pages").hidden = pages === 1
    setText(place, `page ${at + 1} of ${pages}${page.events.areCut ? ", of the latest events" : ""}`)
    replaceChildren(
      byId("event-list"),
      [shown, page.settings.isUtc],
      () => shown.map((happening) => entryOf(page, happening))
    )
  }
}

const entryOf = ({ settings, timeline }: Page, happening: Happening): HTMLElement => {
  const { from, kind, text, until } = happening
  const entry = button("", () => {
    const end = until ?? timeline.extent.until
    const beside = Math.max(5e6, (end - from) / 2)
    timeline.show({ from: from - beside, until: end + beside })
    byId("plots").scrollIntoView()
  })
  entry.append(
    element("span", { class: `kind is-${kind}` }, NAMES[kind][0]),
    element("span", { class: "when" }, stampText(from, 1e5, settings)),
    element("span", { class: "what" }, text)
  )
  return element("li", {}, entry)
}
