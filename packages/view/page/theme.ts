/**
 * The colours of the theme, as the canvas needs them. They are defined in `page.css`.
 */
import { COLOURS } from "./groups.ts"
import type { Settings } from "./Settings.ts"

export interface Theme {
  readonly lines: ReadonlyArray<string>
  readonly background: string
  readonly text: string
  readonly faint: string
  readonly grid: string
  readonly hole: string
  readonly alarm: string
  readonly marker: string
}

export const applyTheme = ({ theme }: Pick<Settings, "theme">): Theme => {
  const root = document.documentElement
  if (theme === "system") delete root.dataset["theme"]
  else root.dataset["theme"] = theme
  const probe = root.appendChild(document.createElement("i"))
  const colour = (name: string) => {
    probe.style.color = `var(--${name})`
    return getComputedStyle(probe).color
  }
  const colours = {
    lines: Array.from({ length: COLOURS }, (_, at) => colour(`colour-${at}`)),
    background: colour("panel"),
    text: colour("text"),
    faint: colour("faint"),
    grid: colour("grid"),
    hole: colour("hole"),
    alarm: colour("alarm"),
    marker: colour("marker")
  }
  probe.remove()
  return colours
}

/** Calls when the system changes between light and dark. */
export const onSystemTheme = (then: () => void): void => {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", then)
}
