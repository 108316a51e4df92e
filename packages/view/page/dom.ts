/**
 * Elements of the page. All texts are text: nothing is read as HTML.
 */

type Child = Node | string

export const element = <K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: { readonly [name: string]: string | undefined } = {},
  ...children: ReadonlyArray<Child>
): HTMLElementTagNameMap[K] => {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) made.setAttribute(name, value)
  made.append(...children)
  return made
}

export const button = (text: string, onClick: (event: MouseEvent) => void, attributes = {}): HTMLButtonElement => {
  const made = element("button", { type: "button", ...attributes }, text)
  made.addEventListener("click", onClick)
  return made
}

/** An element of `index.html`. */
export const byId = (id: string): HTMLElement => document.getElementById(id)!

/** Only what has changed is written: a page that is read aloud or selected is left in peace. */
export const setText = (target: Node, text: string): void => {
  if (target.textContent !== text) target.textContent = text
}

export const setPressed = (target: Element, isPressed: boolean): void => {
  const value = String(isPressed)
  if (target.getAttribute("aria-pressed") !== value) target.setAttribute("aria-pressed", value)
}

/** Children that are made again when what they are made of has changed. The focus stays at its place among them. */
export const replaceChildren = (parent: Element, from: unknown, make: () => ReadonlyArray<Child>): void => {
  const version = JSON.stringify(from)
  if (versions.get(parent) === version) return
  versions.set(parent, version)
  const focused = focusable(parent).indexOf(document.activeElement!)
  parent.replaceChildren(...make())
  const next = focusable(parent)[focused]
  if (next instanceof HTMLElement) next.focus()
}

const focusable = (parent: Element): ReadonlyArray<Element> => [...parent.querySelectorAll("button, summary, input")]

const versions = new WeakMap<Element, string>()

const SVG = "http://www.w3.org/2000/svg"

/** A short piece of a line. */
export const swatch = (colour: number, dash: ReadonlyArray<number>): Element => {
  const svg = document.createElementNS(SVG, "svg")
  const line = document.createElementNS(SVG, "line")
  const set = (on: Element, attributes: { readonly [name: string]: string }) => {
    for (const [name, value] of Object.entries(attributes)) on.setAttribute(name, value)
  }
  set(svg, { class: `swatch colour-${colour}`, viewBox: "0 0 24 8", width: "24", height: "8", "aria-hidden": "true" })
  set(line, { x1: "0", y1: "4", x2: "24", y2: "4", stroke: "currentColor", "stroke-width": "2" })
  if (dash.length > 0) line.setAttribute("stroke-dasharray", dash.join(" "))
  svg.append(line)
  return svg
}
