/**
 * What must not be overlooked, above the plots: the token that is needed, the file that is read, alarms, and what went wrong.
 */
import { byId, element, replaceChildren, setText } from "./dom.ts"
import type { Part } from "./Page.ts"
import { ageText } from "./times.ts"

export const notices: Part = ({ isLost, problem, state, view }) => {
  const progress = state?.progress ?? null
  byId("reading").hidden = progress === null
  if (progress !== null) {
    const percent = Math.floor(progress * 100)
    setText(byId("reading-text"), `Reading the file: ${percent} %. Until then the plots show some places of it.`)
    const bar = byId("reading-bar") as HTMLProgressElement
    bar.value = progress
  }
  byId("empty").hidden = view.from !== null
  byId("problem").hidden = problem === null && !isLost
  setText(
    byId("problem"),
    isLost ? "The connection is lost. What is here stays; the page tries again every few seconds." : problem ?? ""
  )
  const alarms = isLost ? [] : state?.alarms ?? []
  byId("alarms").hidden = alarms.length === 0
  replaceChildren(
    byId("alarms"),
    alarms.map(({ text }) => text),
    () =>
      alarms.map(({ text }) =>
        element("li", {}, element("strong", {}, "Alarm: "), text, element("span", { class: "age faint" }))
      )
  )
  byId("alarms").querySelectorAll(".age").forEach((age, at) =>
    setText(age, ` (raised ${ageText(alarms[at]!.sinceSeconds)} ago)`)
  )
}
