/**
 * The legend of a plot: buttons that show and hide a series, each with its value at the cursor, or the latest one.
 */
import { button, element, setPressed, setText, swatch } from "./dom.ts"
import { type Group, type Line, titleOf } from "./groups.ts"
import type { Page } from "./Page.ts"
import { latestBefore, shownAt } from "./range.ts"
import { numberText } from "./times.ts"

export class Legend {
  readonly element: HTMLElement
  #page: Page
  #entries: ReadonlyArray<
    { readonly line: Line; readonly button: HTMLElement; readonly value: Text; readonly spread: Text }
  >

  constructor(page: Page, group: Group) {
    this.#page = page
    this.#entries = group.lines.map((line) => {
      const [value, spread] = [document.createTextNode(""), document.createTextNode("")]
      const entry = button("", ({ shiftKey }) => {
        const { settings } = page
        if (shiftKey) {
          const others = group.lines.filter((other) => other !== line)
          const isAlone = others.every((other) => settings.isHidden(other))
          settings.hide(others, !isAlone)
          settings.hide([line], false)
        } else settings.hide([line], !settings.isHidden(line))
        page.seriesChanged()
      }, { class: "entry", title: `${line.label}\nShift: only this one, or all` })
      entry.append(
        element(
          "span",
          { class: "key" },
          swatch(line.colour, line.dash),
          element("span", { class: `number colour-${line.colour}` }, String(line.number)),
          element("span", { class: "name" }, line.label)
        ),
        element("span", { class: "value" }, value),
        element("span", { class: "spread" }, spread)
      )
      return { line, button: entry, value, spread }
    })
    this.element = element(
      "div",
      { class: "legend", role: "group", "aria-label": `Series of ${titleOf(group)}` },
      ...this.#entries.map(({ button }) => button)
    )
  }

  /** The values at the cursor, or the latest ones. */
  update(): void {
    const { cursor, range, settings, timeline } = this.#page
    for (const { button, line, spread, value } of this.#entries) {
      const isSeen = !settings.isHidden(line)
      setPressed(button, isSeen)
      const shown = !isSeen || range === undefined
        ? undefined
        : cursor === null
        ? latestBefore(range, line.id, timeline.shown.until)
        : shownAt(range, line.id, cursor)
      setText(value, shown === undefined ? isSeen ? "–" : "hidden" : numberText(shown.mean))
      setText(
        spread,
        shown === undefined || shown.min === shown.max ? "" : `${numberText(shown.min)} to ${numberText(shown.max)}`
      )
    }
  }
}
