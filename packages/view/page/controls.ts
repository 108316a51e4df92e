/**
 * The head of the page: state, clocks, the buttons that move through time, the marker, the choice of fields, and keys.
 */
import { postMark } from "./api.ts"
import { button, byId, element, replaceChildren, setPressed, setText } from "./dom.ts"
import { saveCsv, savePng } from "./exports.ts"
import { happeningAt } from "./happenings.ts"
import type { Page, Part } from "./Page.ts"
import { onSystemTheme } from "./theme.ts"
import { clockText, elapsedText, lengthText, stampText, zoneText } from "./times.ts"

const LASTS = [["1 min", 60e6], ["10 min", 600e6], ["1 h", 3600e6], ["All", Infinity]] as const

/** Connects the head with the page. Gives what keeps it up to date. */
export const attachControls = (page: Page): Part => {
  const { settings, timeline } = page
  const lasts = LASTS.map(([text, rolling]) => ({
    rolling,
    button: button(text, () => timeline.follow(rolling), {
      "aria-label": rolling === Infinity ? "All" : `Last ${text}`
    })
  }))
  byId("lasts").replaceChildren(...lasts.map(({ button }) => button))
  const [back, forward] = [byId("back") as HTMLButtonElement, byId("forward") as HTMLButtonElement]
  const onClick = (id: string, then: () => void) => byId(id).addEventListener("click", then)
  onClick("follow", () => toggleFollowing(page))
  onClick("back", () => timeline.goBack())
  onClick("forward", () => timeline.goForward())
  onClick("zoom-in", () => timeline.zoom(0.5))
  onClick("zoom-out", () => timeline.zoom(2))
  onClick("csv", () => saveCsv(page))
  onClick("png", () => savePng(page))
  onClick("zone", () => {
    settings.isUtc = !settings.isUtc
    page.looksChanged()
  })
  attachTheme(page)
  attachMarker(page)
  attachKeys(page)
  attachMenus()
  return (page) => {
    const isFollowing = timeline.rolling !== null
    for (const last of lasts) setPressed(last.button, timeline.rolling === last.rolling)
    byId("follow").hidden = !page.isLive
    setText(byId("follow"), isFollowing ? "Pause" : "Follow")
    back.disabled = !timeline.canGoBack
    forward.disabled = !timeline.canGoForward
    byId("mark").hidden = !page.view.canMark || !page.isLive
    setPressed(byId("zone"), settings.isUtc)
    setText(byId("title"), page.view.title)
    updateState(page)
    updateReadout(page)
    updateFields(page)
  }
}

const toggleFollowing = ({ timeline }: Page): void => timeline.rolling === null ? timeline.follow() : timeline.pause()

/** The state in words, with a sign that needs no colour. */
const stateOf = ({ isLost, state, timeline, view }: Page): readonly [kind: string, sign: string, text: string] => {
  if (isLost) return ["bad", "×", "Connection lost, tries again"]
  if (state === undefined) return ["plain", "…", "Connecting"]
  const cause = state.ended === null ? "" : [state.ended.cause, state.ended.detail].filter((part) => part).join(": ")
  if (state.progress !== null) return ["plain", "…", `Reading the file: ${Math.floor(state.progress * 100)} %`]
  if (state.ended !== null) return ["plain", "–", cause === "" ? "Ended" : `Ended: ${cause}`]
  if (!view.isLive) return ["plain", "–", "Recorded"]
  return timeline.rolling === null ? ["good", "•", "Recording, the plots are paused"] : ["good", "•", "Recording"]
}

const updateState = (page: Page): void => {
  const { now, settings, timeline, view } = page
  const [kind, sign, text] = stateOf(page)
  const badge = byId("state")
  badge.dataset["kind"] = kind
  setText(byId("state-sign"), sign)
  setText(byId("state-text"), text)
  const run = view.runs.at(-1)
  const from = run?.startedAt ?? timeline.extent.from
  const until = page.isLive ? now : run?.endedAt ?? timeline.extent.until
  const elapsed = view.from === null && run === undefined ? "" : elapsedText(until - from)
  setText(byId("elapsed"), elapsed)
  setText(
    byId("clock"),
    page.isLive ? `${clockText(now, 1e6, settings)} ${zoneText(now, settings)}` : zoneText(until, settings)
  )
  const title = `${sign} ${text}${elapsed === "" ? "" : ` ${elapsed}`} - ${view.title}`
  if (document.title !== title) document.title = title
}

const updateReadout = ({ cursor, events: { happenings }, settings, timeline: { shown }, view }: Page): void => {
  const length = shown.until - shown.from
  const step = length / 1000
  setText(
    byId("shown"),
    view.from === null
      ? "No data yet"
      : `${stampText(shown.from, length / 100, settings)} to ${clockText(shown.until, length / 100, settings)}, ${
        lengthText(length)
      }`
  )
  const there = cursor === null ? [] : happeningAt(happenings, cursor, 3 * step).filter(({ kind }) => kind !== "run")
  setText(
    byId("cursor"),
    cursor === null ? "" : [clockText(cursor, step, settings), ...there.slice(-3).map(({ text }) => text)].join("  ·  ")
  )
}

const attachTheme = (page: Page): void => {
  const select = byId("theme") as HTMLSelectElement
  select.value = page.settings.theme
  select.addEventListener("change", () => {
    page.settings.theme = select.value as typeof page.settings.theme
    page.looksChanged()
  })
  onSystemTheme(() => page.looksChanged())
}

const attachMarker = (page: Page): void => {
  const field = byId("mark-text") as HTMLInputElement
  byId("mark").addEventListener("submit", (event) => {
    event.preventDefault()
    const text = field.value.trim()
    if (text === "") return
    postMark(text).then(() => {
      field.value = ""
      page.problem = null
      setText(byId("spoken"), `Marked: ${text}`)
      page.update()
    }).catch((error: unknown) => page.fail(error))
  })
}

/** All fields that there are, by the plot that they are in. */
const updateFields = (page: Page): void => {
  const list = byId("field-list")
  replaceChildren(
    list,
    [page.groups.map(({ lines }) => lines.map(({ field }) => field)), page.fields],
    () =>
      page.groups.flatMap((group) =>
        [...new Set(group.lines.map(({ field }) => field))].map((field) => {
          const box = element("input", { type: "checkbox" })
          box.checked = page.fields.includes(field)
          box.addEventListener("change", () => {
            page.settings.fields = box.checked
              ? [...page.fields, field]
              : page.fields.filter((other) => other !== field)
            page.settings.save()
            page.fieldsChanged()
          })
          return element("label", {}, box, field, element("span", { class: "faint" }, group.unit ?? ""))
        })
      )
  )
}

/** A menu closes when something else is used. */
const attachMenus = (): void => {
  const close = (target: EventTarget | null) => {
    for (const menu of document.querySelectorAll<HTMLDetailsElement>(".menu[open]")) {
      if (!(target instanceof Node && menu.contains(target))) menu.open = false
    }
  }
  document.addEventListener("pointerdown", ({ target }) => close(target))
  document.addEventListener("focusin", ({ target }) => close(target))
  document.addEventListener("keydown", ({ key }) => key === "Escape" && close(null))
}

/** What keys do. They act on the whole page, or in plots only if a person wants that. */
const attachKeys = (page: Page): void => {
  const { settings, timeline } = page
  const choice = byId("page-keys") as HTMLInputElement
  choice.checked = settings.hasPageKeys
  choice.addEventListener("change", () => {
    settings.hasPageKeys = choice.checked
    settings.save()
  })
  document.addEventListener("keydown", (event) => {
    const { key, shiftKey, target } = event
    if (!(target instanceof HTMLElement) || event.ctrlKey || event.metaKey || event.altKey) return
    if (target.closest("input, select, textarea") !== null) {
      if (key === "Escape") target.blur()
      return
    }
    const plot = page.plots.find(({ element }) => element.contains(target))
    const isInArea = target.classList.contains("area")
    if (!isInArea && !settings.hasPageKeys) return
    const isPressable = target.closest("button, summary, a") !== null
    const step = (direction: number) =>
      shiftKey ? timeline.pan(direction * 0.25) : (plot ?? page.plots[0])?.step(direction)
    const act = {
      ArrowLeft: () => step(-1),
      ArrowRight: () => step(1),
      "+": () => timeline.zoom(0.5, page.cursor ?? undefined),
      "=": () => timeline.zoom(0.5, page.cursor ?? undefined),
      "-": () => timeline.zoom(2, page.cursor ?? undefined),
      Home: () => timeline.follow(Infinity),
      End: () => timeline.follow(),
      p: () => page.isLive && toggleFollowing(page),
      " ": isPressable ? undefined : () => page.isLive && toggleFollowing(page),
      m: () => byId("mark").hidden || byId("mark-text").focus()
    }[key]
    if (act === undefined) return
    event.preventDefault()
    act()
  })
}
