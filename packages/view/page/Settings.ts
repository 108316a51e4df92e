/**
 * What a person has chosen. It is kept in the browser: the theme and the zone for all pages, the rest for each title.
 */
import type { Line } from "./groups.ts"

export interface PlotSettings {
  readonly isCollapsed?: boolean
  readonly isLog?: boolean
  /** Fixed limits of the y axis; null: as the data needs. */
  readonly low?: number | null
  readonly high?: number | null
}

type AllPlots = { readonly [key: string]: PlotSettings }

export class Settings {
  theme: "system" | "light" | "dark" = "system"
  isUtc = false
  /** Whether keys act on the whole page, not only in plots. */
  hasPageKeys = true
  /** The fields that are shown; null: nobody has chosen. */
  fields: ReadonlyArray<string> | null = null
  #hidden: ReadonlyArray<string> = []
  #plots: AllPlots = {}
  #title: string

  constructor(title: string) {
    this.#title = title
    const page = read("page")
    const own = read(title)
    if (page["theme"] === "light" || page["theme"] === "dark") this.theme = page["theme"]
    this.isUtc = page["isUtc"] === true
    this.hasPageKeys = page["hasPageKeys"] !== false
    if (Array.isArray(own["fields"])) this.fields = own["fields"]
    if (Array.isArray(own["hidden"])) this.#hidden = own["hidden"]
    if (typeof own["plots"] === "object" && own["plots"] !== null) this.#plots = own["plots"] as AllPlots
  }

  isHidden(line: Line): boolean {
    return this.#hidden.includes(nameOf(line))
  }

  hide(lines: ReadonlyArray<Line>, isHidden: boolean): void {
    const names = new Set(lines.map(nameOf))
    this.#hidden = [...this.#hidden.filter((name) => !names.has(name)), ...isHidden ? names : []]
    this.save()
  }

  plot(key: string): PlotSettings {
    return this.#plots[key] ?? {}
  }

  setPlot(key: string, settings: PlotSettings): void {
    this.#plots = { ...this.#plots, [key]: { ...this.plot(key), ...settings } }
    this.save()
  }

  save(): void {
    write("page", { theme: this.theme, isUtc: this.isUtc, hasPageKeys: this.hasPageKeys })
    write(this.#title, { fields: this.fields, hidden: this.#hidden, plots: this.#plots })
  }
}

const nameOf = ({ device, field }: Line): string => JSON.stringify([device, field])

/** A browser may refuse to keep anything. Then nothing is kept. */
const read = (name: string): { readonly [key: string]: unknown } => {
  try {
    return JSON.parse(localStorage.getItem(`sampleline ${name}`) ?? "{}") ?? {}
  } catch {
    return {}
  }
}

const write = (name: string, value: unknown): void => {
  try {
    localStorage.setItem(`sampleline ${name}`, JSON.stringify(value))
  } catch {
    // Nothing depends on it.
  }
}
