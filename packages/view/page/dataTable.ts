/**
 * The data that the plots show, as a table in pages. It is made when somebody opens it.
 */
import { button, byId, element, replaceChildren, setText } from "./dom.ts"
import type { Page, Part, ShownOfSeries } from "./Page.ts"
import { numberText, stampText } from "./times.ts"

const PAGE = 50

export const attachDataTable = (page: Page): Part => {
  const details = byId("data") as HTMLDetailsElement
  let first = 0
  const turn = (by: number) => {
    first = Math.max(0, first + by)
    page.update()
  }
  const [earlier, later] = [button("Previous rows", () => turn(-PAGE)), button("Next rows", () => turn(PAGE))]
  const place = element("span", { class: "faint" })
  byId("data-pages").replaceChildren(earlier, later, place)
  details.addEventListener("toggle", () => page.update())
  return (page) => {
    if (!details.open) return
    const rows = rowsOf(page, first)
    earlier.disabled = first === 0
    later.disabled = rows.length < PAGE
    setText(place, rows.length === 0 ? "no rows" : `rows ${first + 1} to ${first + rows.length}`)
    replaceChildren(
      byId("data-rows"),
      [rows, page.settings.isUtc],
      () =>
        rows.map(({ from, max, mean, min, n, series }) =>
          element(
            "tr",
            {},
            ...[
              stampText(from, 1e3, page.settings),
              series.device,
              series.field,
              ...[mean, min, max].map((value) => numberText(value, 7)),
              String(n),
              series.unit ?? ""
            ]
              .map((text) => element("td", {}, text))
          )
        )
    )
  }
}

const rowsOf = (page: Page, first: number): ReadonlyArray<ShownOfSeries> => {
  const rows: Array<ShownOfSeries> = []
  let at = 0
  for (const row of page.shown()) {
    if (at++ >= first) rows.push(row)
    if (rows.length === PAGE) break
  }
  return rows
}
